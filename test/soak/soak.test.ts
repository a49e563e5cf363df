import { expect, test } from 'vitest'
import { full } from '../support/full-form.ts'
import { soak } from './soak.ts'

test('clients at random, a daemon that is killed every few seconds, and nothing wrong or left', async () => {
  const lines: string[] = []
  const options = { seconds: full ? 20 : 16, clients: 4, killEvery: 4, seed: Date.now() % 1_000_000 }
  const result = await soak(options, (line) => lines.push(line)).catch((error) => {
    throw new Error(`seed ${options.seed}: ${error.message}\n${[...(error.history ?? []), ...lines].join('\n')}`)
  })
  expect(result.kills).toBeGreaterThan(1)
  expect(result.calls.size).toBeGreaterThan(10)
}, 600_000)
