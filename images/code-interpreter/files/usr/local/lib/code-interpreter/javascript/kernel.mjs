// Runs cells of JavaScript and TypeScript, one after the other. Requests and answers are lines of JSON on file descriptor 3:
//   {"run": code, "typescript": bool}   answered by results, an error, and at its end by {"done": true}
//   {"environment": {name: text|null}}  answered by {"done": true}
// A line on file descriptor 4 ends the cell that runs (interrupter.mjs).
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { errorOf, evaluate, Interrupted } from './evaluate.mjs'
import { formsOf, provideGlobals } from './globals.mjs'
import { rewritten, withoutTypes } from './rewrite.mjs'

const socket = new Socket({ fd: 3 })
const send = (message) => socket.write(`${JSON.stringify(message)}\n`)
provideGlobals({ show: (forms) => send({ result: forms, main: false }) })

/** Grows when a cell begins and when it ends: odd while one runs. The other thread sees it too, so that an order meets the cell that it was meant for. */
const state = new Int32Array(new SharedArrayBuffer(4))
/** Rejects the wait for the cell that runs. */
let interrupt
const interrupter = new Worker(new URL('interrupter.mjs', import.meta.url), { workerData: state })
interrupter.on('message', (cell) => {
  interrupter.postMessage('heard')
  if (cell === state[0]) interrupt(new Interrupted())
})

async function run({ run: code, typescript }) {
  Atomics.add(state, 0, 1)
  try {
    const expression = rewritten(typescript ? withoutTypes(code) : code)
    // What an interrupted cell has left to do goes on beside the others, as what it has begun and not awaited.
    const value = await new Promise((resolve, reject) => {
      interrupt = reject
      evaluate(expression).then(resolve, reject)
    })
    if (value !== undefined) send({ result: await formsOf(value), main: true })
  } catch (thrown) {
    send({ error: errorOf(thrown) })
  } finally {
    Atomics.add(state, 0, 1)
  }
}

function setEnvironment(changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete process.env[name]
    else process.env[name] = value
  }
}

// What a cell left running must not end the others.
process.on('uncaughtException', (error) => console.error(inspect(error)))
process.on('unhandledRejection', (error) => console.error(inspect(error)))
// Meant for the children that a cell waits for.
process.on('SIGINT', () => undefined)

for await (const line of createInterface({ input: socket })) {
  const request = JSON.parse(line)
  if (request.environment) setEnvironment(request.environment)
  else await run(request)
  send({ done: true })
}
process.exit(0)
