import { defineConfig } from 'vitest/config'

/** What is waited for comes at once, or late on a busy machine: only a test that fails takes so long. */
const patience = { poll: { timeout: 20_000, interval: 20 } }

/** Set by `npm run fuzz`: how long each property is tried. */
const fuzzSeconds = Number(process.env['GIBIL_FUZZ_SECONDS'] ?? 0)
const setupFiles = fuzzSeconds > 0 ? ['test/support/fuzz-longer.ts'] : []

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
