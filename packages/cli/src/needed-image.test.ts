import { PassThrough } from 'node:stream'
import { Gibil, GibilError } from '@gibil/sdk'
import pc from 'picocolors'
import { expect, test } from 'vitest'
import { ensureImage } from './needed-image.ts'

/** Builds, as the daemon would, images of which some are there. */
function sessionWith(there: readonly string[], refuse?: GibilError) {
  const gibil = Gibil.connect({ home: '/nonexistent' })
  const built: string[] = []
  const images = there.map((name) => ({ name }))
  Object.assign(gibil.images, {
    list: async () => images,
    build: async ({ name }: { name: string }) => {
      if (refuse) throw refuse
      built.push(name)
    },
  })
  const notes: string[] = []
  const note = (text: string): void => void notes.push(text)
  const { signal } = new AbortController()
  const session = { gibil, note, json: false, signal, stderr: new PassThrough(), colors: pc.createColors(false) }
  return { built, notes, session }
}

test('an image that is missing is built, once it was said what that takes', async () => {
  const { session, built, notes } = sessionWith(['base'])
  await ensureImage(session, 'e2b', 'It takes a minute.')
  expect(built).toEqual(['e2b'])
  expect(notes).toEqual(['  It takes a minute.\n'])
})

test('one that is there is left as it is', async () => {
  const { session, built, notes } = sessionWith(['e2b'])
  await ensureImage(session, 'e2b', '')
  expect([...built, ...notes]).toEqual([])
})

test('who may not build goes on, and every other failure is told', async () => {
  await ensureImage(sessionWith([], new GibilError('administrator_only', 'no')).session, 'e2b', '')
  await expect(
    ensureImage(sessionWith([], new GibilError('disk_full', 'no')).session, 'e2b', ''),
  ).rejects.toMatchObject({ code: 'disk_full' })
})
