import { defineConfig } from 'vitest/config'

/** What is waited for comes at once, or late on a busy machine: only a test that fails takes so long. */
const patience = { poll: { timeout: 20_000, interval: 20 } }

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'bench/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          expect: patience,
        },
      },
      {
        // Real boxes on this host: files run one after another, since they share its two cores and its kernel.
        test: {
          name: 'e2e',
          include: ['test/**/*.test.ts', 'packages/*/test/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 600_000,
          expect: patience,
          fileParallelism: false,
        },
      },
    ],
  },
})
