import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { GibilError } from '@gibil/contract'
import { asRoot, probeScript, quote, startScript, uploadScript } from './boxd-place.ts'
import type { Connection } from './connection.ts'
import { run } from './run.ts'

/** A kind of machine that boxd is built for. */
export type Machine = 'x86' | 'arm'

export interface Installation {
  readonly id: string
  readonly username: string
  /** Whose commands they are when nobody says. */
  readonly defaultUser: string
  /** The path of boxd for such a machine, on this host. */
  readonly boxdBinary: (machine: Machine) => string | Promise<string>
}

const machines: Readonly<Record<string, Machine>> = { x86_64: 'x86', aarch64: 'arm' }
/** What a machine may say of itself is short. */
const keptLines = 50

/**
 * Puts boxd on the machine, unless the same one is there, and starts it, unless it runs. One that runs is kept, also when it is older: commands live in it.
 * Throws `boxd_unreachable`, `driver_failed`.
 */
export async function installBoxd(connection: Connection, installation: Installation): Promise<{ uploaded: boolean }> {
  const { id, username, defaultUser } = installation
  const say = (script: string, what: string, input?: Readable): Promise<string[]> =>
    mustRun(connection, id, asRoot(username, script), what, input)
  const facts = await mustRun(connection, id, `sh -c ${quote(probeScript)}`, 'look at the machine')
  const fact = (name: string): string | undefined =>
    facts.find((line) => line.startsWith(`gibil-${name} `))?.slice(name.length + 7)
  const machine = machines[fact('machine') ?? '']
  if (!machine) {
    throw new GibilError('driver_failed', `There is no boxd for the processor of box ${id}: ${fact('machine')}.`, {
      hint: 'Use a machine with an x86-64 or ARM64 processor.',
    })
  }
  const binary = await readFile(await installation.boxdBinary(machine))
  const sha256 = createHash('sha256').update(binary).digest('hex')
  const uploaded = fact('boxd') !== sha256
  if (uploaded) await say(uploadScript(sha256), 'take boxd', Readable.from([await promisify(gzip)(binary)]))
  await say(startScript(username, defaultUser), 'start boxd')
  return { uploaded }
}

async function mustRun(
  connection: Connection,
  id: string,
  command: string,
  what: string,
  input?: Readable,
): Promise<string[]> {
  const lines: string[] = []
  const onLine = (line: string): void => {
    lines.push(line)
    if (lines.length > keptLines) lines.shift()
  }
  const code = await run(connection, command, { onLine, input })
  if (code === 0) return lines
  const last = lines.findLast((line) => line.trim() !== '')?.slice(0, 500) ?? 'it gave no reason'
  throw new GibilError('driver_failed', `Box ${id} could not ${what}: ${last}`, {
    hint: 'The user that logs in must be root or have sudo without a password, and the disk of the box must have room.',
    details: { box: id, exitCode: code, log: lines.join('\n').slice(-4096) },
  })
}
