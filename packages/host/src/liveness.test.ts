import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { isUp, parseProcStat } from './liveness.ts'

it('reads a name that holds brackets and line ends', () => {
  expect(parseProcStat('12 (a) R (b\n) S 1 2 3')).toEqual({ comm: 'a) R (b\n', state: 'S' })
  expect(parseProcStat('nonsense')).toBeUndefined()
})

it('tells a process that lives from one that ended', async () => {
  const child = spawn('sleep', ['60'])
  await once(child, 'spawn')
  const pid = child.pid ?? 0
  expect(await isUp(pid)).toBe(true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(await isUp(pid)).toBe(false)
})
