import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { renderUserData, type UserDataOptions, usualPackages } from '@gibil/cloud-init'
import { afterAll, beforeAll, expect, test } from 'vitest'

const run = promisify(execFile)

/** cloud-init and what it needs of Python. They are unpacked, never installed: this machine would obey them when it starts next. */
const debianPackages = [
  'cloud-init',
  ...['attr', 'configobj', 'jinja2', 'json-pointer', 'jsonpatch', 'jsonschema', 'markupsafe', 'netifaces'],
  ...['oauthlib', 'pyrsistent', 'requests', 'serial', 'six', 'yaml'],
].map((name) => (name === 'cloud-init' ? name : `python3-${name}`))

let dir: string

const python = (...args: string[]) => ({
  args,
  env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', PYTHONPATH: join(dir, 'root/usr/lib/python3/dist-packages') },
})

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-cloud-init-'))
  const sandbox = ['-o', 'APT::Sandbox::User=root']
  await run('apt-get', [...sandbox, 'download', '-qq', ...debianPackages], { cwd: dir })
  for (const name of await readdir(dir)) await run('dpkg', ['-x', name, 'root'], { cwd: dir })
})
afterAll(() => rm(dir, { recursive: true, force: true }))

/** What cloud-init makes of each text of user data. */
function partsOf(texts: readonly string[]): { type: string; filename: string; text: string }[][] {
  const { args, env } = python(join(import.meta.dirname, 'read.py'), dir)
  const input = JSON.stringify(texts)
  return JSON.parse(execFileSync('/usr/bin/python3', args, { env, input, encoding: 'utf8' }))
}

/** Empty when cloud-init's schema has nothing against it. */
async function complaints(config: string): Promise<string> {
  const file = join(dir, 'config.yaml')
  await writeFile(file, config)
  const { args, env } = python('-m', 'cloudinit.cmd.main', 'schema', '--config-file', file)
  return await run('/usr/bin/python3', args, { env }).then(
    () => '',
    (error: { stderr: string }) => error.stderr,
  )
}

const options: UserDataOptions = {
  hostname: 'workstation',
  authorizedKeys: ['ssh-ed25519 AAAAlogin login'],
  hostKeys: { privateKey: 'PRIVATE\nKEY\n', publicKey: 'ssh-ed25519 AAAAhost host' },
  deadline: 1_800_000_000,
  graceSeconds: 600,
  packages: usualPackages,
}
const userTexts = {
  nothing: '',
  'a cloud-config': '#cloud-config\npackages: [htop]\nwrite_files: [{path: /a, content: grün, permissions: "0644"}]\n',
  'a script': '#!/bin/bash\necho grün\n',
  'what must be compressed': `#!/bin/sh\n${'echo the same again\n'.repeat(5000)}`,
}

test('cloud-init reads what is rendered, and its schema has nothing against it', async () => {
  const rendered = Object.values(userTexts).map((userText) => renderUserData({ ...options, userText }))
  const read = partsOf(rendered)
  for (const [index, [name, userText]] of Object.entries(userTexts).entries()) {
    const [hook, config, script, ...others] = read[index] ?? []
    expect(others, name).toEqual([])
    expect([hook?.type, config?.type], name).toEqual(['text/cloud-boothook', 'text/cloud-config'])
    expect(config?.text, name).toContain('name: agent')
    if (userText.includes('htop')) expect(config?.text).toContain('content: grün')
    const asGiven = { type: 'text/x-shellscript', filename: 'user-001', text: userText }
    expect(script, name).toEqual(userText.startsWith('#!') ? asGiven : undefined)
    // The shell reads what it is told to run.
    expect(execFileSync('sh', ['-n'], { input: hook?.text, encoding: 'utf8' })).toBe('')
  }
  for (const config of new Set(read.map((parts) => parts[1]?.text ?? ''))) expect(await complaints(config)).toBe('')
})

test('the schema that it is held against finds faults', async () => {
  expect(await complaints('#cloud-config\nusers: 5\nruncmd: {}\n')).toMatch(/runcmd/)
})
