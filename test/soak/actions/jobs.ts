import { GibilError } from '@gibil/sdk'
import type { Client } from '../client.ts'
import { must, mustEqual, SoakFailure } from '../failure.ts'
import type { BoxModel, JobModel } from '../model.ts'
import { lineBytes, lineLength } from './lines.ts'

/** A command that goes on by itself, followed from now on over every kill of the daemon. */
export async function start(client: Client, box: BoxModel): Promise<void> {
  const { random } = client
  const [times, each] = [random.int(5, 100), random.pick([1, 10, 200])]
  const exitCode = random.int(0, 200)
  const label = `job-${random.word(10)}`
  const script = `for i in $(seq 0 ${times - 1}); do seq -f %08.0f $((i * ${each})) $((i * ${each} + ${each - 1})); sleep 0.${random.int(0, 2)}; done; exit ${exitCode}`
  const outcome = await client.ask(box, `job ${label}`, () => client.handle(box).jobs.start(script, { label }))
  if (outcome.is === 'refusal') throw new SoakFailure(`${box.name}: job: ${outcome.error}`, box.history)
  const listed = await client.get(box, 'jobs', () => client.handle(box).jobs.list())
  const found = listed.filter((job) => job.label === label)
  must(
    box,
    `${label} was started ${found.length} times`,
    found.length === 1 || (outcome.is === 'cut' && found.length === 0),
  )
  const [job] = found
  if (job === undefined) return
  if (outcome.is === 'answer') mustEqual(box, 'the id of the job', job.id, outcome.value.id)
  const lines = times * each
  box.jobs.set(job.id, { id: job.id, lines, exitCode, seen: 0, ended: false, stream: undefined, follower: undefined })
  followJobs(client, box)
}

/** Follows every job that nobody follows. What goes wrong comes out of `leaveJobs`. */
export function followJobs(client: Client, box: BoxModel): void {
  for (const job of box.jobs.values()) {
    if (job.ended || job.follower) continue
    job.follower = follow(client, box, job)
    job.follower.catch(() => undefined)
  }
}

async function follow(client: Client, box: BoxModel, job: JobModel): Promise<void> {
  const name = `job ${job.id}`
  const stream = await client.get(box, `attach ${name} at ${job.seen}`, () =>
    client.handle(box).jobs.attach(job.id, { offset: job.seen, reattachMs: 120_000 }),
  )
  job.stream = stream
  try {
    for await (const { stream: kind, data } of stream) {
      mustEqual(box, `stream of ${name}`, kind, 'stdout')
      must(box, `bytes ${job.seen} and on of ${name} are wrong`, lineBytes(job.seen, data.length).equals(data))
      job.seen += data.length
    }
    const { exitCode } = await stream.exit
    mustEqual(box, `bytes of ${name}`, { seen: job.seen, lost: stream.lost }, { seen: job.lines * lineLength, lost: 0 })
    mustEqual(box, `exit code of ${name}`, exitCode, job.exitCode)
    job.ended = true
    box.note(`${name} ended well`)
  } catch (error) {
    // Left by us.
    if (job.stream === undefined && GibilError.is(error) && error.code === 'cancelled') return
    throw error
  } finally {
    job.stream = undefined
  }
}

/** Stops following; the jobs go on. Throws what went wrong while they were followed. */
export async function leaveJobs(box: BoxModel): Promise<void> {
  for (const job of box.jobs.values()) {
    while (job.follower) {
      const { stream, follower } = job
      job.stream = undefined
      stream?.detach()
      // One that is still attaching is waited for, and then left.
      const done = await Promise.race([follower.then(() => true), new Promise((go) => setTimeout(go, 20, false))])
      if (done === true) job.follower = undefined
    }
  }
}

/** What a stop has ended. */
export const forgetJobs = (box: BoxModel): void => box.jobs.clear()

/** Every job is known to the box, with what was seen of it; what it printed is read once more, without a stream. */
export async function inspect(client: Client, box: BoxModel): Promise<void> {
  const listed = await client.get(box, 'jobs', () => client.handle(box).jobs.list())
  for (const job of box.jobs.values()) {
    const info = listed.find(({ id }) => id === job.id)
    if (info === undefined) throw new SoakFailure(`${box.name}: job ${job.id} is lost`, box.history)
    if (info.exit) mustEqual(box, `exit code of job ${job.id}`, info.exit.exitCode, job.exitCode)
    mustEqual(box, `firstOffset of job ${job.id}`, info.firstOffset, 0)
    const offset = client.random.int(0, info.outputBytes)
    const limit = client.random.int(1, 50_000)
    const output = await client.get(box, `output ${job.id} at ${offset}`, () =>
      client.handle(box).jobs.output(job.id, { offset, limit }),
    )
    const text = output.chunks.map((chunk) => chunk.text).join('')
    mustEqual(box, `output of job ${job.id} at ${offset}`, text, lineBytes(offset, text.length).toString())
    mustEqual(box, `nextOffset of job ${job.id}`, output.nextOffset, offset + text.length)
  }
  const ended = [...box.jobs.values()].find((job) => job.ended)
  if (ended && client.random.chance(0.5)) {
    const outcome = await client.ask(box, `forget ${ended.id}`, () => client.handle(box).jobs.forget(ended.id))
    if (outcome.is === 'refusal') throw new SoakFailure(`${box.name}: forget: ${outcome.error}`, box.history)
    box.jobs.delete(ended.id)
  }
}
