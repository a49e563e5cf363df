/**
 * Runs the test suite of E2B's JavaScript SDK against a daemon of its own, by TLS and host names, as their users come. Nothing of the suite is
 * ours or kept: GIBIL_E2B_SUITE names the folder `packages/js-sdk` of its sources, which is copied below `.cache`.
 *
 *   GIBIL_E2B_SUITE=…/packages/js-sdk [GIBIL_E2B_SHAPE=microvm] [GIBIL_E2B_INTERNET=double] npm run conformance:e2b [-- tests/sandbox/files …]
 */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { execa } from 'execa'
import { makeHome, root, type TestHome } from '../test/support/home.ts'
import { openInternet } from './e2b-internet.ts'

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly message?: string
    readonly assertionResults: readonly {
      readonly status: 'passed' | 'failed' | 'skipped' | 'pending' | 'todo' | 'disabled'
      readonly title: string
      readonly failureMessages?: readonly string[]
    }[]
  }[]
}

const suite = process.env['GIBIL_E2B_SUITE']
const shape = process.env['GIBIL_E2B_SHAPE'] ?? 'container'
const internet = process.env['GIBIL_E2B_INTERNET'] ?? 'real'
const port = Number(process.env['GIBIL_E2B_PORT'] ?? 7743)
/** What the suite needs to run in Node alone, beside what the SDK itself needs. */
const tools = ['msw', 'dotenv', 'error-stack-parser-es', 'typescript', 'vitest'] as const
/** A microVM that is emulated takes a core of its own, and the suite's limits are those of machines that are not. */
const workers = shape === 'microvm' ? 1 : 2
const projects = ['unit', 'template', 'connectionConfig']

const configuration = `import { defineConfig } from 'vitest/config'
const shared = { environment: 'node', setupFiles: ['tests/globalFetchFallback.setup.ts'] }
const unit = { name: 'unit', include: ['tests/**/*.test.ts'], isolate: true, testTimeout: 60_000,
  exclude: ['tests/runtimes/**', 'tests/template/**', 'tests/connectionConfig*.test.ts'] }
const template = { name: 'template', include: ['tests/template/**/*.test.ts'], testTimeout: 180_000 }
const connectionConfig = { name: 'connectionConfig', include: ['tests/connectionConfig.test.ts'], isolate: true }
export default defineConfig({
  test: { projects: [unit, template, connectionConfig].map((test) => ({ test: { ...shared, ...test } })) },
})
`

/** Leads names below the domain to this machine, as a name server would that knows of it. */
const loopback = `import dns from 'node:dns'
const suffix = '.' + process.env.E2B_DOMAIN.replace(/:\\d+$/, '')
const lookup = dns.lookup
dns.lookup = (host, options, done) => {
  if (typeof options === 'function') [options, done] = [{}, options]
  if (!host.endsWith(suffix)) return lookup(host, options, done)
  const found = { address: '127.0.0.1', family: 4 }
  process.nextTick(() => (options?.all ? done(null, [found]) : done(null, found.address, found.family)))
}
`

if (!suite) throw new Error('Set GIBIL_E2B_SUITE to the folder packages/js-sdk of the sources of E2B.')
if (internet !== 'real' && internet !== 'double') throw new Error('GIBIL_E2B_INTERNET is real or double.')
const work = join(root, '.cache', 'e2b-suite')
await prepare(suite)
// What was started ends also when the run is interrupted.
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort())
const report = await run(process.argv.slice(2))
process.stdout.write(table(report))
process.exitCode = report.numFailedTests > 0 ? 1 : 0

/** A copy that needs no browser, with its dependencies. */
async function prepare(from: string): Promise<void> {
  await rm(join(work, 'tests'), { recursive: true, force: true })
  await mkdir(work, { recursive: true })
  for (const name of ['src', 'tests', 'tsconfig.json', 'package.json', 'vitest.config.mts']) {
    await cp(join(from, name), join(work, name), { recursive: true })
  }
  const manifest = JSON.parse(await readFile(join(work, 'package.json'), 'utf8'))
  const { name, version, dependencies, optionalDependencies, devDependencies } = manifest
  const kept = Object.fromEntries(tools.map((tool) => [tool, devDependencies[tool]]))
  const own = { name, version, private: true, dependencies, optionalDependencies, devDependencies: kept }
  await writeFile(join(work, 'package.json'), JSON.stringify(own, null, 2))
  // In place of their configuration, whose browser needs more than Node.
  await rm(join(work, 'vitest.config.mts'))
  await writeFile(join(work, 'vitest.config.ts'), configuration)
  await writeFile(join(work, 'loopback.mjs'), loopback)
  await execa('npm', ['install', '--no-audit', '--no-fund'], { cwd: work, stdout: 'ignore', stderr: 'inherit' })
}

async function run(filters: readonly string[]): Promise<Report> {
  await using home = await makeHome()
  const started = await home.startDaemon()
  if (started.exitCode !== 0) throw new Error(started.stderr)
  const built = await home.gibil(['image', 'build', 'e2b'], { timeoutMs: 30 * 60_000 })
  if (built.exitCode !== 0) throw new Error(built.stderr)
  await provideUbuntu(home)
  // What a first microVM fetches comes from the real internet.
  await makeFirst(home)
  await using _double = internet === 'double' ? await openInternet(home) : undefined
  if (internet === 'double') await makeFirst(home)
  const setup = await home.gibil(['e2b', 'setup', '--shape', shape, '--port', String(port), '--tls', '--json'])
  if (setup.exitCode !== 0) throw new Error(setup.stderr)
  const { variables } = JSON.parse(setup.stdout) as { variables: Record<string, string> }
  const outputFile = join(work, 'report.json')
  const chosen = projects.flatMap((project) => ['--project', project])
  const args = [
    'vitest',
    'run',
    `--maxWorkers=${workers}`,
    ...chosen,
    '--reporter=default',
    '--reporter=json',
    `--outputFile=${outputFile}`,
  ]
  await rm(outputFile, { force: true })
  await execa('npx', [...args, ...filters], {
    cwd: work,
    env: { ...variables, NODE_OPTIONS: `--import ${join(work, 'loopback.mjs')}` },
    stdout: ['inherit'],
    stderr: 'inherit',
    reject: false,
    cancelSignal: interrupted.signal,
  })
  if (interrupted.signal.aborted) throw new Error('Interrupted.')
  return JSON.parse(await readFile(outputFile, 'utf8')) as Report
}

/** The first microVM of an image boots, and no case of the suite waits for that. */
async function makeFirst(home: TestHome): Promise<void> {
  if (shape !== 'microvm') return
  const made = await home.gibil(['create', '--name', 'first', '--shape', shape, '--image', 'e2b'], {
    timeoutMs: 15 * 60_000,
  })
  if (made.exitCode !== 0) throw new Error(made.stderr)
  await home.gibil(['destroy', 'first', '--yes'])
}

/** What most templates of the suite begin with. Without a registry another image takes its name, as which the report must then be read. */
async function provideUbuntu(home: TestHome): Promise<void> {
  const name = 'ubuntu:22.04'
  if ((await home.gibil(['image', 'pull', name])).exitCode === 0) return
  process.stderr.write(`${name} cannot be pulled: the image base of this machine stands in for it\n`)
  const context = join(work, 'ubuntu')
  await mkdir(context, { recursive: true })
  await writeFile(join(context, 'Dockerfile'), 'FROM base\nUSER root\nRUN rm /etc/sudoers.d/*\n')
  const built = await home.gibil(['image', 'build', context, '--name', name])
  if (built.exitCode !== 0) throw new Error(built.stderr)
}

/** What docs/e2b.md has: a line for each file, and for each case that failed. */
function table({ testResults, numPassedTests, numFailedTests, numPendingTests }: Report): string {
  const rows = testResults
    .map(({ name, assertionResults }) => {
      const count = (status: string): number => assertionResults.filter((one) => one.status === status).length
      const [passed, failed] = [count('passed'), count('failed')]
      return `| ${relative(work, name)} | ${passed} | ${failed} | ${assertionResults.length - passed - failed} |`
    })
    .toSorted()
  const failures = testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ title, failureMessages: [why = ''] = [] }) => {
        return `- ${relative(work, name)}: ${title}: ${why.split('\n')[0]?.slice(0, 200)}`
      }),
  )
  const sum = `${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped (${shape}, ${internet} internet)`
  return `\n${sum}\n\n| file | passed | failed | skipped |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n\n${failures.join('\n')}\n`
}
