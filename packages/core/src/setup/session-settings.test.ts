import { expect, test } from 'vitest'
import { saidBy, sessionHooks } from './session-settings.ts'

const group = (matcher: string | undefined, ...commands: readonly string[]): object => ({
  ...(matcher === undefined ? {} : { matcher }),
  hooks: commands.map((command) => ({ type: 'command', command })),
})
const of = (...groups: readonly object[]): string => JSON.stringify({ hooks: { SessionStart: groups } })
const commands = (text: string, source: 'startup' | 'resume' = 'startup'): string[] =>
  sessionHooks(text, source).hooks.map(({ command }) => command)

test.each([
  ['startup', ['a'], []],
  ['startup|resume', ['a'], ['a']],
  ['resume', [], ['a']],
  ['clear|compact', [], []],
  ['*', ['a'], ['a']],
  ['', ['a'], ['a']],
  [undefined, ['a'], ['a']],
] as const)('a matcher %j is for these starts', (matcher, startup, resume) => {
  const text = of(group(matcher, 'a'))
  expect(commands(text)).toEqual(startup)
  expect(commands(text, 'resume')).toEqual(resume)
  expect(sessionHooks(text, 'startup').any).toBe(true)
})

test('each hook runs once, and only commands do', () => {
  const text = of(group('startup', 'a', 'b'), group('*', 'a'), {
    hooks: [{ type: 'mcp_tool', server: 's', tool: 't' }],
  })
  expect(commands(text)).toEqual(['a', 'b'])
})

test('a timeout is in seconds, ten minutes without one and an hour at most', () => {
  const hooks = [{ timeout: 5 }, {}, { timeout: 1e9 }].map((more, index) => ({
    type: 'command',
    command: String(index),
    ...more,
  }))
  expect(sessionHooks(of({ hooks }), 'startup').hooks.map(({ timeoutMs }) => timeoutMs)).toEqual([
    5000, 600_000, 3_600_000,
  ])
})

test('settings without hooks have none, and what is no settings is refused', () => {
  for (const text of ['{}', '{"hooks":{}}', '{"permissions":{"allow":["x"]},"hooks":{"Stop":[{"odd":1}]}}']) {
    expect(sessionHooks(text, 'startup')).toEqual({ hooks: [], any: false })
  }
  expect(commands(JSON.stringify({ disableAllHooks: true, hooks: { SessionStart: [group('*', 'a')] } }))).toEqual([])
  for (const text of ['', '[]', '{"hooks":{"SessionStart":"x"}}']) expect(() => sessionHooks(text, 'startup')).toThrow()
})

test('what a hook says in JSON is for its user; plain text is none', () => {
  expect(saidBy('{"systemMessage":"hello","continue":false,"stopReason":"no licence"}')).toEqual([
    'asks to stop: no licence',
    'hello',
  ])
  expect(saidBy('{"hookSpecificOutput":{"additionalContext":"x"}}')).toEqual([])
  for (const text of ['', 'plain', '[1]', '{"continue":"maybe"}']) expect(saidBy(text)).toEqual([])
})
