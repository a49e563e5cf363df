import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Dial } from '../types.ts'

const root = resolve(import.meta.dirname, '../../../..')

/** The real boxd, built from source, beside the tests and not in a box. */
export interface RealBoxd extends AsyncDisposable {
  readonly dial: Dial
  /** A directory for the files of a test, removed with all else. */
  readonly dir: string
  readonly pid: number
  /** How many streams were dialled and are not closed yet. */
  openStreams(): number
}

export async function startBoxd(): Promise<RealBoxd> {
  const dir = await mkdtemp(join(tmpdir(), 'gibil-boxd-'))
  await promisify(execFile)('sh', [join(root, 'boxd/build.sh'), dir])
  const socketPath = join(dir, 'boxd.sock')
  const user = String(process.getuid?.() ?? 0)
  const child = spawn(join(dir, 'boxd'), ['--listen', `unix:${socketPath}`, '--user', user], { stdio: 'inherit' })
  const ended = once(child, 'exit')
  const streams = new Set<Socket>()

  const dial: Dial = () =>
    new Promise((done, failed) => {
      const socket = connect({ path: socketPath, allowHalfOpen: true })
      socket.once('error', failed)
      socket.once('connect', () => {
        socket.off('error', failed)
        streams.add(socket)
        socket.once('close', () => streams.delete(socket))
        done(socket)
      })
    })
  for (let tries = 0; ; tries += 1) {
    const socket = await dial().catch(() => undefined)
    socket?.destroy()
    if (socket) break
    if (tries === 200) throw new Error('boxd does not listen')
    await sleep(10)
  }
  return {
    dial,
    dir,
    pid: child.pid ?? 0,
    openStreams: () => streams.size,
    async [Symbol.asyncDispose]() {
      // It ends what it started before it ends itself.
      child.kill('SIGTERM')
      await ended
      await rm(dir, { recursive: true, force: true })
    },
  }
}
