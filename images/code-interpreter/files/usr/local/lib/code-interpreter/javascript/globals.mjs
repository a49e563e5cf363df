// What cells find beside what Node has.
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'

/** An object says by a method of this name how it is shown, as in Deno's kernel: it returns its forms by MIME type. */
const displaying = Symbol.for('Jupyter.display')

const plain = (forms) => JSON.parse(JSON.stringify(forms))

/** A value in every form that it has, by MIME type. */
export async function formsOf(value) {
  const own = typeof value?.[displaying] === 'function' ? await value[displaying]() : undefined
  return own ? plain(own) : { 'text/plain': typeof value === 'string' ? value : inspect(value) }
}

/** As if each cell were a file in the working directory, which a cell may change. */
const here = (name) => `${process.cwd()}/${name}`

export function provideGlobals({ show }) {
  const give = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true })
  const requiring = () => createRequire(here('cell.js'))
  give('require', Object.assign((name) => requiring()(name), { resolve: (name) => requiring().resolve(name) }))
  give('display', async (value, { raw = false } = {}) => show(raw ? plain(value) : await formsOf(value)))
  // What `import` of a cell becomes (rewrite.mjs).
  globalThis[Symbol.for('code-interpreter.import')] = (specifier, options) => {
    const isPath = /^(\.{1,2})?\//.test(specifier)
    const from = pathToFileURL(here('cell.mjs')).href
    const url = isPath ? pathToFileURL(resolve(specifier)).href : import.meta.resolve(specifier, from)
    return import(url, options)
  }
}
