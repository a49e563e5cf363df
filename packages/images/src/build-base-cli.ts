/** Builds a recipe into a home without a daemon: `node build-base-cli.ts <home> [recipe]`. For development; not while a daemon uses that home. */
import { fileURLToPath } from 'node:url'
import { openImageStore } from './store.ts'

const [home, recipe = 'base'] = process.argv.slice(2)
if (home === undefined) throw new Error('usage: node build-base-cli.ts <home> [recipe]')
const say = (text: string) => process.stderr.write(`${text}\n`)
const store = await openImageStore({
  home,
  recipesDir: fileURLToPath(new URL('../../../images', import.meta.url)),
  env: process.env,
  arch: process.arch,
  clock: { now: Date.now, after: () => () => undefined },
  log: {
    debug: () => undefined,
    info: () => undefined,
    error: (facts, message) => say(`${message} ${JSON.stringify(facts)}`),
    warn: (facts, message) => say(`${message} ${JSON.stringify(facts)}`),
  },
  digestsInUse: async () => new Set(),
})
const started = performance.now()
const image = await store.build({ name: recipe, recipe }, undefined, {
  onProgress: ({ phase, message, ms }) =>
    say(`${phase}${message ? `: ${message}` : ''}${ms === undefined ? '' : ` ${ms} ms`}`),
})
say(`${Math.round(performance.now() - started)} ms`)
process.stdout.write(`${JSON.stringify(image, null, 2)}\n`)
