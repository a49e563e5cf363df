import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse } from 'smol-toml'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { clientsOf, configText, type McpClientName, mcpClients, register } from './register.ts'

const server = { command: '/opt/gibil/gibil', args: ['mcp', '--home', '/srv/g'] }
let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'gibil-clients-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

const pathOf = (client: McpClientName): string => join(home, mcpClients[client].path)
async function put(client: McpClientName, text: string): Promise<void> {
  await mkdir(dirname(pathOf(client)), { recursive: true })
  await writeFile(pathOf(client), text, { mode: 0o640 })
}
const textOf = (client: McpClientName): Promise<string> => readFile(pathOf(client), 'utf8')

test.each(Object.keys(mcpClients) as McpClientName[])(
  '%s gets its entry once, and what is printed is the same',
  async (client) => {
    expect((await register(client, home, server)).result).toBe('written')
    const text = await textOf(client)
    expect(text).toBe(configText(client, server))
    expect((await register(client, home, server)).result).toBe('unchanged')
    expect(await textOf(client)).toBe(text)
    expect((await stat(pathOf(client))).mode & 0o777).toBe(0o600)
  },
)

test('only programs that are there are found', async () => {
  expect(await clientsOf(home)).toEqual([])
  await mkdir(join(home, '.codex'))
  await put('claude', '{}')
  expect(await clientsOf(home)).toEqual(['claude', 'codex'])
})

test('comments, order and indentation of JSON stay; an entry that is old is changed in its place', async () => {
  const text = `{
    // mine
    "servers": {
        "first": { "command": "a" }, /* kept */
        "gibil": { "type": "stdio", "command": "/old/gibil", "args": ["mcp"] },
        "last": { "url": "http://x" },
    },
    "inputs": []
}
`
  await put('vscode', text)
  await register('vscode', home, server)
  const after = await textOf('vscode')
  const lines = (part: string): string[] => part.split('\n')
  const kept = lines(text).filter((line) => !line.includes('gibil'))
  expect(lines(after).filter((line) => kept.includes(line))).toEqual(kept)
  expect(after).not.toContain('/old/')
  expect(after.indexOf('first')).toBeLessThan(after.indexOf('/opt/gibil'))
  expect(after.indexOf('/opt/gibil')).toBeLessThan(after.indexOf('last'))
  expect((await stat(pathOf('vscode'))).mode & 0o777).toBe(0o640)
})

test('other servers and settings of Claude Code stay', async () => {
  await put('claude', '{"numStartups":7,"mcpServers":{"other":{"command":"x"}},"projects":{"/a":{"b":[1,2]}}}')
  await register('claude', home, server)
  expect(JSON.parse(await textOf('claude'))).toEqual({
    numStartups: 7,
    mcpServers: { other: { command: 'x' }, gibil: { type: 'stdio', ...server } },
    projects: { '/a': { b: [1, 2] } },
  })
})

test('TOML stays to the letter around our table, whose own tables stay too', async () => {
  const before = '# top\nmodel = "o" # why\n\n[mcp_servers.other]\ncommand = "x"\n\n'
  const after = '\n# about the next\n[mcp_servers.gibil.env]\nA = "b"\n\n[tui]\ntheme = "dark"\n'
  await put('codex', `${before}[mcp_servers.gibil]\ncommand = "/old"\nargs = [\n  "mcp",\n]\n${after}`)
  await register('codex', home, server)
  const text = await textOf('codex')
  expect(text.startsWith(before)).toBe(true)
  expect(text.endsWith(after)).toBe(true)
  expect(parse(text)['mcp_servers']).toMatchObject({ other: { command: 'x' }, gibil: { ...server, env: { A: 'b' } } })
  expect((await register('codex', home, server)).result).toBe('unchanged')
})

test.each<[McpClientName, string]>([
  ['claude', '{"mcpServers": {"a": 1'],
  ['claude', '[]'],
  ['cursor', '{"mcpServers": []}'],
  ['vscode', '{"servers": {} "x": 1}'],
  ['codex', '[mcp_servers\n'],
  ['codex', 'mcp_servers = { gibil = { command = "x" } }\n'],
  ['codex', 'text = """\n[mcp_servers.gibil]\n"""\n'],
])('a config of %s that cannot be written into is refused and stays: %s', async (client, text) => {
  await put(client, text)
  await expect(register(client, home, server)).rejects.toMatchObject({ code: 'invalid_config' })
  expect(await textOf(client)).toBe(text)
  expect(await readdir(dirname(pathOf(client)))).toHaveLength(1)
})

test('a link to the file stays one', async () => {
  await writeFile(join(home, 'kept.json'), '{}')
  await symlink(join(home, 'kept.json'), pathOf('claude'))
  await register('claude', home, server)
  expect(JSON.parse(await readFile(join(home, 'kept.json'), 'utf8')).mcpServers.gibil.command).toBe(server.command)
})
