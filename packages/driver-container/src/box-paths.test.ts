import { homeNames } from '@gibil/host'
import { expect, it } from 'vitest'
import { boxPaths } from './box-paths.ts'

it('keeps the socket within the 108 bytes of a unix address, for the longest id and any home', () => {
  const home = homeNames(`/${'long/'.repeat(60)}`)
  expect(boxPaths(home, 'x'.repeat(48)).socket.length).toBeLessThan(108)
})

it('refuses an id that would lead elsewhere', () => {
  expect(() => boxPaths(homeNames('/srv/a'), '../x')).toThrow(expect.objectContaining({ code: 'invalid_request' }))
})
