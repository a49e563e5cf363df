import { expect, test } from 'vitest'
import { ended } from './process.ts'

test.each([
  [
    { exitCode: 0, signal: null },
    { exitCode: 0, exited: true, status: 'exit status 0' },
  ],
  [
    { exitCode: 3, signal: null },
    { exitCode: 3, exited: true, status: 'exit status 3', error: 'exit status 3' },
  ],
  [
    { exitCode: null, signal: 'SIGKILL' },
    { exitCode: -1, exited: false, status: 'signal: killed', error: 'signal: killed' },
  ],
])('%j ended so', (exit, told) => {
  expect(ended(exit)).toEqual(told)
})
