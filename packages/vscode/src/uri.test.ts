import { expect, test } from 'vitest'
import { parseLink } from './uri.ts'

test('a link names what to show and the box', () => {
  expect(parseLink('/open', 'box=work')).toEqual({ action: 'open', box: 'work' })
  expect(parseLink('/terminal', 'box=work%40ci&x=1')).toEqual({ action: 'terminal', box: 'work@ci' })
})

test.each([
  ['/destroy', 'box=work'],
  ['/open', ''],
  ['/open', 'box='],
  ['/open', 'box=..%2Fetc'],
  ['/open', 'box=-oProxyCommand'],
  ['/open', 'box=work%20x'],
  ['/open/x', 'box=work'],
  ['', 'box=work'],
])('%s?%s is none', (path, query) => expect(parseLink(path, query)).toBeUndefined())
