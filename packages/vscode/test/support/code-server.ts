import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa, type ResultPromise } from 'execa'
import { root } from '../../../../test/support/home.ts'

/** VS Code 1.139.1 with its own extension host, in a browser. */
const version = '4.139.1'
/** Kept beside the checkouts of this machine: a package that is no dependency, as its scripts compile for minutes what a test does not use. */
const cache = `/var/tmp/gibil-test-code-server-${version}`
const entry = join(cache, 'node_modules/code-server/out/node/entry.js')

/** Installs it once for this machine, with the versions that it pins itself. Runs side by side wait for each other. */
async function provide(): Promise<void> {
  const install = `[ -e ${cache}/complete ] && exit
rm -rf ${cache} && mkdir ${cache} && cd ${cache} && echo '{}' > package.json
npm install --no-audit --no-fund --ignore-scripts code-server@${version}
cd node_modules/code-server/lib/vscode && npm install --no-audit --no-fund --ignore-scripts --omit=dev
touch ${cache}/complete`
  const path = `${join(root, '.toolchain/bin')}:${process.env['PATH']}`
  await execa('flock', [`${cache}.lock`, 'sh', '-ec', install], { env: { PATH: path }, all: true })
}

export interface CodeServer extends AsyncDisposable {
  readonly url: string
  /** Home directory of the user who works in it. */
  readonly userHome: string
}

/** A VS Code of the test's own with an extension in it and settings of a user. */
export async function startCodeServer(
  vsix: string,
  settings: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>>,
): Promise<CodeServer> {
  await provide()
  const dir = await mkdtemp(join(tmpdir(), 'gibil-code-'))
  const userHome = join(dir, 'home')
  const data = join(dir, 'data')
  await mkdir(join(data, 'User'), { recursive: true })
  await mkdir(userHome)
  await writeFile(join(data, 'User/settings.json'), JSON.stringify(settings))
  await writeFile(join(dir, 'config.yaml'), 'auth: none\nbind-addr: 127.0.0.1:0\ndisable-telemetry: true\n')
  const run = (...args: string[]): ResultPromise<{ all: true }> =>
    execa(
      process.execPath,
      [
        ...[entry, '--config', join(dir, 'config.yaml'), '--user-data-dir', data],
        ...['--extensions-dir', join(dir, 'extensions'), '--disable-update-check', '--disable-workspace-trust'],
        ...args,
      ],
      { env: { ...env, HOME: userHome, XDG_RUNTIME_DIR: dir }, cwd: userHome, all: true },
    )
  await run('--install-extension', vsix)
  const server = run()
  // How it ends is nobody's concern once it has started.
  server.catch(() => undefined)
  const url = await address(server)
  return {
    url,
    userHome,
    async [Symbol.asyncDispose]() {
      server.kill()
      await server.catch(() => undefined)
      await rm(dir, { recursive: true, force: true })
    },
  }
}

function address(server: ResultPromise<{ all: true }>): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    server.all.on('data', (data) => {
      text += data
      const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? []
      if (url) resolve(url)
    })
    server.all.once('end', () => reject(new Error(`code-server did not start:\n${text}`)))
  })
}
