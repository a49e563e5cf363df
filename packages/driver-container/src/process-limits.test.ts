import { expect, it } from 'vitest'
import { processLimits } from './process-limits.ts'

const size = (cpu: number) => ({ cpu, memoryMib: 1024, diskMib: 1024 })

it('grows with the CPUs, within bounds', () => {
  expect(processLimits(size(0.25)).box).toBe(256)
  expect(processLimits(size(2)).box).toBe(512)
  expect(processLimits(size(64)).box).toBe(4096)
})

it('keeps some of the processes of a box from any one user of it', () => {
  for (const { box, user } of [processLimits(size(0.1)), processLimits(size(2)), processLimits(size(1), 60)]) {
    expect(user).toBeLessThanOrEqual(box - 16)
    expect(user).toBeGreaterThan(box * 0.7)
  }
  expect(processLimits(size(1), 60).box).toBe(60)
})
