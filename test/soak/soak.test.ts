import { expect, test } from 'vitest'
import { soak } from './soak.ts'

test('clients at random, a daemon that is killed every few seconds, and nothing wrong or left', async () => {
  const lines: string[] = []
  // Two thirds of it have kills, less what the daemon takes to begin.
  const options = { seconds: 24, clients: 4, killEvery: 2, seed: Date.now() % 1_000_000 }
  const result = await soak(options, (line) => lines.push(line)).catch((error) => {
    throw new Error(`seed ${options.seed}: ${error.message}\n${[...(error.history ?? []), ...lines].join('\n')}`)
  })
  expect(result.kills).toBeGreaterThan(0)
  expect(result.calls.size).toBeGreaterThan(10)
}, 600_000)
