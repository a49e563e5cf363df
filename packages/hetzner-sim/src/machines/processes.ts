import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A process that outlives the simulator: its id and when it began, so that a later process with the same id is not taken for it. */
interface Noted {
  readonly pid: number
  readonly since: string
}

/** Starts a process of its own session whose output goes to `log`, and writes down which it is. */
export async function startNoted(note: string, log: string, argv: readonly string[]): Promise<void> {
  const output = await open(log, 'w', 0o600)
  try {
    const [program = '', ...args] = argv
    const child = spawn(program, args, { detached: true, stdio: ['ignore', output.fd, output.fd] })
    await once(child, 'spawn')
    child.unref()
    const pid = child.pid ?? 0
    await writeFile(note, JSON.stringify({ pid, since: await startOf(pid) }))
  } finally {
    await output.close()
  }
}

/** The process that the note is about; undefined when it has ended. */
export async function running(note: string): Promise<number | undefined> {
  const text = await readFile(note, 'utf8').catch(() => '')
  const { pid, since } = (text === '' ? { pid: 0, since: '' } : JSON.parse(text)) as Noted
  return pid > 0 && since !== '' && (await startOf(pid)) === since ? pid : undefined
}

/** Kills the process that the note is about, and waits until it is gone. */
export async function endNoted(note: string): Promise<void> {
  for (let pid = await running(note); pid !== undefined; pid = await running(note)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended in between.
    }
    await sleep(20)
  }
  await rm(note, { force: true })
}

/** When a process began, in ticks since the host did (proc(5)); empty for one that is gone or has ended and is not yet waited for. */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? '' : (fields[19] ?? '')
}

/** Sends a command to QEMU's monitor (QMP). Throws when it does not answer within 5 s. */
export async function command(socketPath: string, execute: string): Promise<void> {
  const socket = connect(socketPath)
  let heard = ''
  socket.setTimeout(5000, () => socket.destroy(new Error('the machine does not answer')))
  try {
    await once(socket, 'connect')
    socket.write(`{"execute":"qmp_capabilities"}\n{"execute":"${execute}"}\n`)
    for await (const chunk of socket) {
      heard += chunk
      if (/"error"/.test(heard)) throw new Error(`the machine refused ${execute}`)
      if ((heard.match(/"return"/g) ?? []).length >= 2) return
    }
  } finally {
    socket.destroy()
  }
}
