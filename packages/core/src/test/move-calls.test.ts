import { afterEach, beforeEach, expect, test } from 'vitest'
import { startWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await startWorld()
  await world.clock.until(world.plane.create({ name: 'w', ttl: '2h' }))
})
afterEach(() => world.close())

/** What a move has noted of it. */
const note = async (moving: { readonly arrived: boolean; readonly goesOn?: boolean }): Promise<void> => {
  const { id } = await world.plane.get('w')
  const record = await world.store.getBox(id)
  if (!record) throw new Error('no record')
  const other = { shape: 'microvm', provider: 'local' } as const
  await world.store.saveBox({ ...record, moving: { other, imageDigest: null, ...moving } })
}
const call = (signal?: AbortSignal) => world.plane.connect('w', signal)

test('a box that is being moved answers as long as it goes on, and when it has arrived', async () => {
  for (const moving of [{ arrived: false, goesOn: true }, { arrived: true }]) {
    await note(moving)
    const { stream } = await world.clock.until(call())
    stream.destroy()
  }
})

test('a call for one that stands still waits', async () => {
  for (const moving of [{ arrived: false }, { arrived: false, goesOn: false }]) {
    await note(moving)
    const leaving = new AbortController()
    const waits = call(leaving.signal)
    await world.clock.advance(1000)
    leaving.abort(new Error('still waiting'))
    await expect(waits).rejects.toThrow('still waiting')
  }
})
