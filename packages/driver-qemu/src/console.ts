import { createConnection, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What machines print on their serial lines, the end of it: what their kernels complain of. Hostile text. */
export interface Consoles {
  /** Listens to a machine that has just been started or found. What an earlier one of that id printed is forgotten. */
  listen(id: string, path: string): void
  /** The last 64 KiB at most. */
  text(id: string): string
  /** Resolves when all that an ended machine has printed is here, or after a second. */
  drained(id: string): Promise<void>
  forget(id: string): void
  close(): void
}

const keptBytes = 64 * 1024
/** A guest that prints more waits: nobody reads so much, and the daemon has better things to do. */
const bytesPerTurn = 256 * 1024
const turnMs = 1000
const drainMs = 1000

interface Console {
  readonly socket: Socket
  readonly closed: Promise<void>
  parts: Buffer[]
  length: number
}

/**
 * Reads the consoles by sockets of QEMU, one for each machine. Not from a ring in QEMU, which ends with it: what a kernel prints when it panics is the last
 * that its QEMU lives to hear. While nobody listens QEMU drops what comes, so nothing grows, here or there.
 */
export function createConsoles(): Consoles {
  const consoles = new Map<string, Console>()

  const open = (path: string): Console => {
    const socket = createConnection({ path })
    const closed = Promise.withResolvers<void>()
    const console: Console = { socket, closed: closed.promise, parts: [], length: 0 }
    let inTurn = 0
    let turn: NodeJS.Timeout | undefined
    // Its machine has ended, or the daemon goes: the one is told elsewhere, the other wanted.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(turn)
      closed.resolve()
    })
    socket.on('data', (chunk: Buffer) => {
      keep(console, chunk)
      inTurn += chunk.length
      turn ??= setTimeout(() => {
        turn = undefined
        inTurn = 0
        socket.resume()
      }, turnMs).unref()
      if (inTurn > bytesPerTurn) socket.pause()
    })
    return console
  }

  const forget = (id: string): void => {
    consoles.get(id)?.socket.destroy()
    consoles.delete(id)
  }

  return {
    forget,
    listen(id, path) {
      forget(id)
      consoles.set(id, open(path))
    },
    text(id) {
      const console = consoles.get(id)
      return console ? Buffer.concat(console.parts).subarray(-keptBytes).toString('utf8') : ''
    },
    async drained(id) {
      await Promise.race([consoles.get(id)?.closed, sleep(drainMs, undefined, { ref: false })])
    },
    close() {
      for (const id of [...consoles.keys()]) forget(id)
    },
  }
}

/** Drops from the front what is not needed for the last bytes; a part that straddles the border stays whole. */
function keep(console: Console, chunk: Buffer): void {
  console.parts.push(chunk)
  console.length += chunk.length
  for (let first = console.parts[0]; first && console.length - first.length >= keptBytes; first = console.parts[0]) {
    console.parts.shift()
    console.length -= first.length
  }
  // Many small parts would each take far more memory than they hold.
  if (console.parts.length > 256) console.parts = [Buffer.concat(console.parts)]
}

const panics = /Kernel panic - not syncing: ([\x20-\x7e]{1,200})/g
/** mm/oom_kill.c of Linux: the panic when nothing is left to be killed, and the end of the first process, which panics next. */
const outOfMemory = /deadlocked on memory|Out of memory: Killed process 1 \(|out of memory/i

/** Why a machine ended, by its last words; undefined when they do not tell. The guest may print what it likes: they accuse nobody but itself. */
export function lastWords(console: string): string | undefined {
  const panic = [...console.matchAll(panics)].at(-1)
  if (!panic?.[1]) return undefined
  const before = console.slice(Math.max(0, panic.index - 4096), panic.index)
  if (outOfMemory.test(panic[1]) || /Out of memory: Killed process 1 \(/.test(before))
    return 'out of memory in its kernel'
  return `its kernel panicked: ${panic[1].trim()}`
}
