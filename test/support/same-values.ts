/** Loaded before unit tests: a run of `npm test` tries the values of the one before; `npm run fuzz` looks for new ones. */
import fc from 'fast-check'

fc.configureGlobal({ seed: 20_260_101 })
