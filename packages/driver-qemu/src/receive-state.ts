import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { chmod, chown, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'

export interface StateReceiver {
  /** Resolves when all that came is in the file. */
  readonly done: Promise<void>
  close(): Promise<void>
}

/**
 * Listens for the state that a machine sends away, and writes it to a file. QEMU 7.2 can send it to a socket, to a command, which it may not run,
 * or to a descriptor that was handed over by its monitor, which Node cannot. `uid`: who may connect.
 */
export async function receiveState(socket: string, file: string, uid: number): Promise<StateReceiver> {
  const server = createServer()
  const done = once(server, 'connection').then(async ([connection]: Socket[]) => {
    if (connection) await pipeline(connection, createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true }))
  })
  // It is waited for only when nothing else fails before.
  done.catch(() => undefined)
  await rm(socket, { force: true })
  server.listen(socket)
  await once(server, 'listening')
  await chmod(socket, 0o600)
  await chown(socket, uid, uid)
  return {
    done,
    async close() {
      server.close()
      await rm(socket, { force: true })
    },
  }
}
