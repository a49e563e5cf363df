// A thread of its own, since a cell may hold the first one for ever. Each line on file descriptor 4 is an order to end the cell that runs.
import { Session } from 'node:inspector'
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { parentPort, workerData as state } from 'node:worker_threads'

/** How long the first thread may take to hear of it, in ms. */
const patience = 1000

let heard = false
parentPort.on('message', () => {
  heard = true
})

for await (const _ of createInterface({ input: new Socket({ fd: 4 }) })) {
  const cell = Atomics.load(state, 0)
  if (cell % 2 === 0) continue
  heard = false
  parentPort.postMessage(cell)
  await new Promise((resolve) => setTimeout(resolve, patience))
  // Only where it does not hear: else V8 would end whatever is the next to run there.
  if (heard || Atomics.load(state, 0) !== cell) continue
  const session = new Session()
  session.connectToMainThread()
  await new Promise((resolve) => session.post('Runtime.terminateExecution', resolve))
  session.disconnect()
}
