import { defineConfig } from 'vitest/config'

/** What is waited for comes at once, or late on a busy machine: only a test that fails takes so long. */
const patience = { poll: { timeout: 20_000, interval: 20 } }

/** Set by `npm run fuzz`: how long each property is tried. */
const fuzzSeconds = Number(process.env['GIBIL_FUZZ_SECONDS'] ?? 0)
const setupFiles = fuzzSeconds > 0 ? ['test/support/fuzz-longer.ts'] : []

/** Tests of real boxes: files of one project run one after another, and the two projects side by side, since the host has two cores and one kernel. */
const realBoxes = { testTimeout: 120_000, hookTimeout: 600_000, expect: patience, fileParallelism: false }
/** Those with a kernel of their own, which take about half of the time. */
const machines = ['packages/driver-qemu/test/**/*.test.ts', 'test/**/*microvm*.test.ts', 'test/full-vm.test.ts']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'bench/**/*.test.ts'],
          setupFiles,
          testTimeout: 30_000 + fuzzSeconds * 1000 * 2,
          hookTimeout: 60_000,
          expect: patience,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/**/*.test.ts', 'packages/*/test/**/*.test.ts'],
          exclude: machines,
          ...realBoxes,
        },
      },
      { test: { name: 'machines', include: machines, ...realBoxes } },
    ],
  },
})
