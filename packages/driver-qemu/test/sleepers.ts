import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sh } from '../../driver-container/test/rig.ts'
import { boxPaths, microvmNames } from '../src/names.ts'
import type { World } from './world.ts'

/** Keeps a random megabyte and an open file, and says the sum of the one when it is asked: what a box has to have after its sleep. */
const program = `
  (exec 7>/tmp/count; all=$(head -c 750000 /dev/urandom | base64 | tr -d '\\n')
   trap 'echo "$all" | md5sum > /tmp/sum.new; mv /tmp/sum.new /tmp/sum' USR1
   i=0; while true; do i=$((i+1)); echo $i >&7; sleep 0.1; done) >/dev/null 2>&1 & echo $! > /tmp/pid; until [ -s /tmp/count ]; do sleep 0.05; done`
const ask =
  'rm -f /tmp/sum; kill -USR1 $(cat /tmp/pid) || exit 1; until [ -e /tmp/sum ]; do sleep 0.05; done; cat /tmp/sum'

export interface Sleeper {
  readonly id: string
  readonly sum: string
  readonly count: number
}

const counted = async (world: World, id: string): Promise<number> =>
  Number((await world.run(id, 'tail -n 1 /tmp/count')).trim())

/** Makes a box with a program that runs, and puts it to sleep. */
export async function putToSleep(world: World, id: string): Promise<Sleeper> {
  await world.driver.create(world.spec(id))
  const sum = await world.run(id, `echo ${id} > /kept; ${program}\n${ask}`)
  const count = await counted(world, id)
  await world.driver.pause(id)
  return { id, sum, count }
}

/** What it had when it was put to sleep, after it has been woken and worked for a moment. */
export async function wake(world: World, { id }: Sleeper): Promise<Sleeper & { readonly kept: string }> {
  await world.driver.resume(id)
  const kept = (await world.run(id, 'cat /kept')).trim()
  const sum = await world.run(id, `sleep 0.5; ${ask}`)
  return { id, sum, kept, count: await counted(world, id) }
}

/** How large the saved memory of sleeping boxes is, and how much of it the host holds in its own, in bytes. */
export async function savedMemory(world: World, ids: readonly string[]): Promise<{ size: number; held: number }> {
  let [size, held] = [0, 0]
  for (const id of ids) {
    const { kept } = boxPaths(microvmNames(world.home), id)
    for (const name of await readdir(kept)) {
      if (!name.startsWith('paused-')) continue
      const file = join(kept, name, 'memory')
      size += Number(await sh(`du -B1 ${file} | cut -f1`))
      held += Number(await sh(`fincore -b -n -o RES ${file}`))
    }
  }
  return { size, held }
}

/** A process that takes so much memory and keeps it until it is disposed of; `procs`: the cgroup that it enters first. */
export async function startHog(mib: number, procs: string): Promise<AsyncDisposable> {
  const take = `echo $$ > ${procs}; for ((i = 0; i < ${mib}; i += 16)); do printf -v "all$i" %16777216s; done; echo taken; read`
  const hog = spawn('bash', ['--norc', '-ec', take], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(hog, 'exit')
  const first = await Promise.race([once(hog.stdout, 'data').then(String), ended.then(String)])
  if (first !== 'taken\n') throw new Error(`The hog did not get its memory: ${first}`)
  return {
    async [Symbol.asyncDispose]() {
      hog.stdin.end()
      await ended
    },
  }
}
