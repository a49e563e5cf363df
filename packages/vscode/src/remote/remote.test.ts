import { expect, test } from 'vitest'
import { aBox } from '../../test/support/a-box.ts'
import { remoteExtensionFor, remoteExtensions } from './forks.ts'
import { includesConfig, remoteFolder } from './target.ts'

test.each([
  ['vscode', 'ms-vscode-remote.remote-ssh'],
  ['vscode-insiders', 'ms-vscode-remote.remote-ssh'],
  ['cursor', 'anysphere.remote-ssh'],
  ['windsurf', 'codeium.windsurf-remote-openssh'],
  ['antigravity', 'google.antigravity-remote-openssh'],
  ['vscodium', 'jeanp413.open-remote-ssh'],
  ['something-new', 'jeanp413.open-remote-ssh'],
])('in %s folders are opened by %s, or by any other', (scheme, expected) => {
  expect(remoteExtensionFor(scheme)).toBe(expected)
  const all = remoteExtensions(scheme)
  expect(all[0]).toBe(expected)
  expect([...all].sort()).toEqual([
    'anysphere.remote-ssh',
    'codeium.windsurf-remote-openssh',
    'google.antigravity-remote-openssh',
    'jeanp413.open-remote-ssh',
    'ms-vscode-remote.remote-ssh',
  ])
})

test('a folder is on the host that ssh knows, one of a token by its id', () => {
  const path = '/home/agent/project'
  expect(remoteFolder(aBox(), path)).toEqual({ scheme: 'vscode-remote', authority: 'ssh-remote+work.gibil', path })
  expect(remoteFolder(aBox({ owner: 'ci' }), path).authority).toBe('ssh-remote+b1.gibil')
})

test('the line of `gibil ssh-config --install` is known again', () => {
  const text = 'Include "/var/lib/100%%/ssh/config"\nHost other\n'
  expect(includesConfig(text, '/var/lib/100%/ssh/config')).toBe(true)
  expect(includesConfig(text, '/var/lib/gibil/ssh/config')).toBe(false)
})
