/** Loaded before the tests of `npm run fuzz`: every property then tries new values until its time is over. */
import fc from 'fast-check'

fc.configureGlobal({
  numRuns: Number.MAX_SAFE_INTEGER,
  interruptAfterTimeLimit: Number(process.env['GIBIL_FUZZ_SECONDS']) * 1000,
})
