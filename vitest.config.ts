import { defineConfig } from 'vitest/config'

/** What is waited for comes at once, or late on a busy machine: only a test that fails takes so long. */
const patience = { poll: { timeout: 20_000, interval: 20 } }

/** Set by `npm run fuzz`: how long each property is tried. */
const fuzzSeconds = Number(process.env['GIBIL_FUZZ_SECONDS'] ?? 0)
const setupFiles = [fuzzSeconds > 0 ? 'test/support/fuzz-longer.ts' : 'test/support/same-values.ts']

const realBoxes = { testTimeout: 120_000, hookTimeout: 600_000, expect: patience }
/** Those with a kernel of their own, one file at a time beside two of the others: a machine takes a core, a container waits more than it works. */
const machines = [
  'packages/driver-qemu/test/**/*.test.ts',
  'test/**/*microvm*.test.ts',
  'test/full-vm.test.ts',
  'test/workstation.test.ts',
]

/** How many files of a project run side by side, on a host of two cores. Vitest wants a group of its own for each such number. */
const workers = (maxWorkers: number, groupOrder: number) => ({ maxWorkers, sequence: { groupOrder } })

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'bench/**/*.test.ts', 'images/*/test/**/*.test.ts'],
          setupFiles,
          testTimeout: 30_000 + fuzzSeconds * 1000 * 2,
          hookTimeout: 60_000,
          expect: patience,
          ...workers(2, 0),
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/**/*.test.ts', 'packages/*/test/**/*.test.ts'],
          exclude: machines,
          ...realBoxes,
          ...workers(2, 1),
        },
      },
      { test: { name: 'machines', include: machines, ...realBoxes, ...workers(1, 2) } },
    ],
  },
})
