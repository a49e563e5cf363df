import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Gibil } from '@gibil/sdk'
import { root } from '../support/home.ts'
import { type Client, createClient } from './client.ts'
import { type SoakDaemon, startSoakDaemon } from './daemon.ts'
import { followEvents } from './events.ts'
import { mustEqual, SoakFailure } from './failure.ts'
import { descriptors, median, type Processes, processesOf, remains } from './leaks.ts'
import type { SoakOptions } from './options.ts'
import { createRandom } from './random.ts'
import { work } from './worker.ts'

export interface SoakResult {
  readonly calls: ReadonlyMap<string, number>
  readonly kills: number
  readonly rounds: number
  /** Of the last daemon: after its warm-up and at its end. */
  readonly memory: { readonly before: Processes; readonly after: Processes } | undefined
}

/** After so long all boxes are destroyed and it is looked for what they left. */
const roundMs = 240_000
/** A daemon that lived so long without a kill says something of its memory. */
const judgedMs = 120_000
/** Node gives memory back late, and the number differs by some MiB from one minute to the next; a leak of a KiB a call is more in half an hour. */
const daemonGrowthMiB = 64
const hostkitGrowthMiB = 16
/** Connections and files that are just being closed, and what is held for boxes that were made ahead. */
const spareFds = 32

/** Works with the daemon at random and kills it, until the time is over. Throws SoakFailure at the first thing that is wrong. */
export async function soak(options: SoakOptions, say: (line: string) => void): Promise<SoakResult> {
  await using daemon = await startSoakDaemon()
  return await soakDaemon(daemon, options, say).catch(async (error) => {
    const log = join(root, '.cache', `soak-${options.seed}.log`)
    await copyFile(join(daemon.home.path, 'gibild.log'), log).catch(() => undefined)
    say(`the log of the daemon is kept in ${log}`)
    throw error
  })
}

async function soakDaemon(daemon: SoakDaemon, options: SoakOptions, say: (line: string) => void): Promise<SoakResult> {
  const random = createRandom(options.seed)
  const clients = Array.from({ length: options.clients }, (_, index) =>
    createClient(index, createRandom(options.seed * 1000 + index), daemon),
  )
  const begin = Date.now()
  const end = begin + options.seconds * 1000
  const calmFrom = begin + (options.seconds * 1000 * 2) / 3
  const clean = await daemon.whileDown(() => remains(daemon.home.path))
  const events = followEvents(daemon)
  const samples: { readonly at: number; readonly held: Processes }[] = []
  let rounds = 0
  let broken: unknown
  // Whoever interrupts it gets all that was started taken away as well.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      broken ??= new Error(`The soak was ended by ${signal}.`)
    })
  }

  const report = async (): Promise<Processes | undefined> => {
    const held = await daemon
      .pid()
      .then(processesOf)
      .catch(() => undefined)
    if (held && Date.now() > calmFrom) samples.push({ at: Date.now(), held })
    const calls = clients.reduce((sum, { counts }) => sum + [...counts.values()].reduce((a, b) => a + b, 0), 0)
    const boxes = clients.reduce((sum, client) => sum + client.boxes.length, 0)
    const seconds = Math.round((Date.now() - begin) / 1000)
    say(
      `${seconds} s of ${options.seconds}: round ${rounds + 1}, ${calls} calls, ${boxes} boxes, ${daemon.kills} kills${held ? `; daemon ${held.daemon.rssMiB} MiB ${held.daemon.fds} fds, hostkit ${held.hostkit.rssMiB} MiB ${held.hostkit.fds} fds` : ''}`,
    )
    for (const { doing } of clients) {
      const ms = doing ? Date.now() - doing.since : 0
      if (doing && ms > 5000) say(`  for ${Math.round(ms / 1000)} s: ${doing.what}`)
    }
    return held
  }

  const killer = async (isOver: () => boolean): Promise<void> => {
    let next = Date.now() + options.killEvery * 1000
    while (!isOver()) {
      await sleep(100)
      if (Date.now() < next) continue
      await daemon.kill()
      // Now and then while it is still finding its feet.
      if (random.chance(0.2)) await daemon.kill()
      next = Date.now() + options.killEvery * 500 + random.int(0, options.killEvery * 1000)
    }
  }

  const round = async (until: number, kills: boolean): Promise<void> => {
    const isOver = (): boolean => Date.now() >= until || broken !== undefined
    const reporting = setInterval(() => void report(), 5000)
    const all = [...clients.map((client) => work(client, isOver)), ...(kills ? [killer(isOver)] : [])]
    for (const one of all) one.catch((error) => (broken ??= error))
    events.failed.catch((error) => (broken ??= error))
    await Promise.allSettled(all)
    clearInterval(reporting)
    if (broken !== undefined) throw broken
    await nothingIsListed(clients)
    rounds += 1
  }

  /** Rounds until then, each with a daemon that is as it was when it began. */
  const phase = async (until: number, kills: boolean): Promise<void> => {
    while (Date.now() < until - 1000) {
      const ends = Math.min(until, Date.now() + roundMs)
      await round(until - ends < roundMs / 2 ? until : ends, kills)
      if (kills) {
        const left = await daemon.whileDown(() => remains(daemon.home.path))
        mustEqual(
          { name: 'host', history: [] },
          'what is left of all boxes',
          left.filter((line) => !clean.includes(line)),
          [],
        )
      }
    }
  }

  await phase(calmFrom, true)
  const fresh = await afterFirstBox(daemon)
  await phase(end, false)
  await events.end()
  for (const client of clients) client.gibil.close()
  await fdsComeBack(daemon, fresh)
  const memory = judge(samples)
  const left = await daemon.whileDown(() => remains(daemon.home.path))
  mustEqual(
    { name: 'host', history: [] },
    'what is left of all boxes',
    left.filter((line) => !clean.includes(line)),
    [],
  )
  return { calls: sum(clients), kills: daemon.kills, rounds, memory }
}

async function afterFirstBox(daemon: SoakDaemon): Promise<Processes> {
  await using gibil = Gibil.connect({ home: daemon.home.path })
  const box = await gibil.create()
  await box.run('true', { check: true })
  await box.destroy()
  return processesOf(await daemon.pid())
}

async function nothingIsListed(clients: readonly Client[]): Promise<void> {
  const [client] = clients
  const boxes = (await client?.gibil.list()) ?? []
  mustEqual(
    { name: 'daemon', history: [] },
    'the list after all was destroyed',
    boxes.map(({ name }) => name),
    [],
  )
}

async function fdsComeBack(daemon: SoakDaemon, before: Processes): Promise<void> {
  const pid = await daemon.pid()
  for (let tries = 0; ; tries += 1) {
    const { daemon: own, hostkit } = await processesOf(pid)
    if (own.fds <= before.daemon.fds + spareFds && hostkit.fds <= before.hostkit.fds + spareFds) return
    if (tries >= 100) {
      const what = `descriptors: daemon ${before.daemon.fds} then ${own.fds}, hostkit ${before.hostkit.fds} then ${hostkit.fds}`
      throw new SoakFailure(`Leaked ${what}: ${await descriptors(pid)}`, [])
    }
    await sleep(100)
  }
}

function judge(samples: readonly { readonly at: number; readonly held: Processes }[]): SoakResult['memory'] {
  const [first, last] = [samples.at(0), samples.at(-1)]
  if (!first || !last || last.at - first.at < judgedMs) return undefined
  const quarter = Math.floor(samples.length / 4)
  const middle = (part: typeof samples): Processes => ({
    daemon: {
      rssMiB: median(part.map(({ held }) => held.daemon.rssMiB)),
      fds: median(part.map(({ held }) => held.daemon.fds)),
    },
    hostkit: {
      rssMiB: median(part.map(({ held }) => held.hostkit.rssMiB)),
      fds: median(part.map(({ held }) => held.hostkit.fds)),
    },
  })
  const [before, after] = [middle(samples.slice(quarter, 2 * quarter)), middle(samples.slice(-quarter))]
  const grown = (name: 'daemon' | 'hostkit', limit: number): void => {
    if (after[name].rssMiB - before[name].rssMiB <= limit) return
    throw new SoakFailure(`The memory of ${name} grew from ${before[name].rssMiB} to ${after[name].rssMiB} MiB`, [])
  }
  grown('daemon', daemonGrowthMiB)
  grown('hostkit', hostkitGrowthMiB)
  return { before, after }
}

function sum(clients: readonly Client[]): Map<string, number> {
  const total = new Map<string, number>()
  for (const { counts } of clients) {
    for (const [what, count] of counts) total.set(what, (total.get(what) ?? 0) + count)
  }
  return total
}
