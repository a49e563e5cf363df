import { expect, test } from 'vitest'
import { type Build, type Template, taggedBuild, trimmed, withTags } from './template.ts'

const now = '2026-01-01T00:00:00.000Z'
const build = (id: string, change: Partial<Build> = {}): Build => ({
  id,
  status: 'ready',
  reason: null,
  createdAt: now,
  finishedAt: now,
  cpuCount: 2,
  memoryMB: 1024,
  wantedTags: [],
  image: `image-of-${id}`,
  user: 'user',
  workdir: null,
  startCmd: null,
  readyCmd: null,
  snapshot: null,
  ...change,
})
const template = (builds: Build[]): Template => ({
  version: 1,
  id: 't',
  owner: 'me',
  name: 'shop',
  createdAt: now,
  updatedAt: now,
  tags: {},
  builds,
})

test('what no tag leads to is let go, and what is under way is not', () => {
  const all = template([build('old'), build('new'), build('next', { status: 'building', image: null })])
  const { template: next, made, builds } = trimmed(withTags(all, ['default'], 'new', now))
  expect(made.map(({ id }) => id)).toEqual(['old'])
  expect(builds).toEqual([])
  expect(next.builds.map(({ id, image }) => [id, image])).toEqual([
    ['old', null],
    ['new', 'image-of-new'],
    ['next', null],
  ])
  expect(taggedBuild(next, 'default')?.id).toBe('new')
  expect(taggedBuild(next, 'v1')).toBeUndefined()
  expect(trimmed(next).made).toEqual([])
})

test('of many past builds the last are kept to be asked about', () => {
  const past = Array.from({ length: 25 }, (_, index) => build(`b${index}`, { status: 'error', image: null }))
  const { template: next, builds } = trimmed(template(past))
  expect(builds).toEqual(['b0', 'b1', 'b2', 'b3', 'b4'])
  expect(next.builds).toHaveLength(20)
})
