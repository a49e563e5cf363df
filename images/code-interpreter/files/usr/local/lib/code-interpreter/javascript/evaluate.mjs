// V8 evaluates cells as lines of a console: they may await, and declare again what an earlier one has declared.
import { Session } from 'node:inspector'
import { inspect } from 'node:util'

export class Interrupted extends Error {
  name = 'Interrupted'
  message = 'The execution was interrupted'
  stack = ''
}

/** What a cell has thrown, which need not be an error. */
class Thrown extends Error {
  constructor(value) {
    super()
    this.value = value
  }
}

const session = new Session()
session.connect()

// The protocol names values that are in this very thread; one function that it calls with them has them here.
const taken = Symbol.for('code-interpreter.taken')
globalThis[taken] = {}
let holder
session.post('Runtime.evaluate', { expression: `globalThis[Symbol.for('code-interpreter.taken')]` }, (_, { result }) => {
  holder = result.objectId
})
function take({ objectId, unserializableValue, value }) {
  if (!objectId && !unserializableValue) return value
  const named = objectId ? { objectId } : { unserializableValue }
  const functionDeclaration = 'function (value) { this.value = value }'
  session.post('Runtime.callFunctionOn', { objectId: holder, functionDeclaration, arguments: [named] })
  const { value: found } = globalThis[taken]
  delete globalThis[taken].value
  return found
}

/** The value of the last statement. Throws what the cell throws, for `errorOf`. */
export function evaluate(expression) {
  return new Promise((resolve, reject) => {
    const options = { expression, replMode: true, awaitPromise: true, objectGroup: 'cell' }
    // From the event loop, so that nothing of this program is above the cell when it is ended from outside.
    setImmediate(() => {
      session.post('Runtime.evaluate', options, (error, answer) => {
        // What V8 says when it was ended.
        if (error) return reject(new Interrupted())
        const { result, exceptionDetails } = answer
        const { exception } = exceptionDetails ?? {}
        if (!exceptionDetails) resolve(boxed(take(result)))
        else reject(new Thrown(exception ? take(exception) : exceptionDetails.text))
        session.post('Runtime.releaseObjectGroup', { objectGroup: 'cell' })
      })
    })
  }).then(({ value }) => value)
}

/** A promise that is a cell's value is shown as such, not waited for: it may never be kept. */
const boxed = (value) => ({ value })

/** Without the lines of a stack that are those of this program. */
const ownFrames = /\n {4}at (Session\.post|new Promise|Immediate\.<anonymous>|processImmediate|process\.processImmediate)\b[^]*$/

export function errorOf(thrown) {
  const value = thrown instanceof Thrown ? thrown.value : thrown
  // By its looks, since errors may come from another realm.
  const isError = typeof value?.stack === 'string' && typeof value.name === 'string'
  if (!isError) return { name: 'Error', value: inspect(value), traceback: `Uncaught ${inspect(value)}` }
  return { name: value.name, value: String(value.message), traceback: value.stack.replace(ownFrames, '') }
}
