import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createClaims } from './claims.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'claims-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

it('gives a name to one home only, and again to the same', async () => {
  const a = createClaims(join(directory, 'claims'), '/srv/a')
  const b = createClaims(join(directory, 'claims'), '/srv/b')
  expect(await a.first(['x', 'y'])).toBe('x')
  expect(await a.first(['x', 'y'])).toBe('x')
  expect(await b.first(['x', 'y'])).toBe('y')
  expect(await b.first(['x'])).toBeUndefined()
  await b.release('x')
  expect(await b.first(['x'])).toBeUndefined()
  await a.release('x')
  expect(await b.first(['x'])).toBe('x')
})

it('lets one of many that ask at once win', async () => {
  const homes = Array.from({ length: 8 }, (_, index) => createClaims(directory, `/srv/${index}`))
  const won = await Promise.all(homes.map((claims) => claims.first(['only'])))
  expect(won.filter((name) => name === 'only')).toHaveLength(1)
})
