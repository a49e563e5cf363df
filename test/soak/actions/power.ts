import { setTimeout as sleep } from 'node:timers/promises'
import type { Box } from '@gibil/sdk'
import type { Client } from '../client.ts'
import { must, mustEqual, SoakFailure } from '../failure.ts'
import type { BoxModel } from '../model.ts'
import { check } from './boxes.ts'
import { followJobs, forgetJobs, leaveJobs } from './jobs.ts'

type Status = BoxModel['status']

/** Uses a verb until it was not cut off; in between the box is as it was or as it is to be. */
async function become(client: Client, box: BoxModel, verb: 'pause' | 'resume' | 'stop' | 'start', to: Status) {
  for (;;) {
    const outcome = await client.ask<Box>(box, verb, () => client.handle(box)[verb]())
    if (outcome.is === 'refusal')
      throw new SoakFailure(`${box.name}: ${verb} was refused: ${outcome.error}`, box.history)
    if (outcome.is === 'answer') {
      box.status = to
      mustEqual(box, `status after ${verb}`, outcome.value.status, to)
      return check(client, box)
    }
    const { status } = await client.get(box, 'get', () => client.handle(box).refresh())
    must(box, `status after a ${verb} that was cut off`, status === box.status || status === to, status)
  }
}

/** Its memory and its commands stand still, and go on. */
export async function pause(client: Client, box: BoxModel): Promise<void> {
  await leaveJobs(box)
  await become(client, box, 'pause', 'paused')
  if (client.random.chance(0.5)) await sleep(client.random.int(50, 1500))
  await check(client, box)
  if (client.random.chance(0.3)) {
    await client.refused(box, 'start a paused box', 'wrong_state', () => client.handle(box).start())
  }
  const next = client.random.int(0, 2)
  if (next === 0) {
    // A command resumes it.
    await client.get(box, 'run in a paused box', () => client.handle(box).run('true', { check: true }))
    box.status = 'running'
    await check(client, box)
  } else if (next === 1) return stop(client, box)
  else await become(client, box, 'resume', 'running')
  followJobs(client, box)
}

/** Its disk is kept, its commands are not. */
export async function stop(client: Client, box: BoxModel): Promise<void> {
  await leaveJobs(box)
  await become(client, box, 'stop', 'stopped')
  forgetJobs(box)
  await client.refused(box, 'run in a stopped box', 'wrong_state', () => client.handle(box).run('true'))
  await client.refused(box, 'pause a stopped box', 'wrong_state', () => client.handle(box).pause())
  if (client.random.chance(0.5)) await sleep(client.random.int(50, 1500))
  await become(client, box, 'start', 'running')
  const jobs = await client.get(box, 'jobs', () => client.handle(box).jobs.list())
  mustEqual(box, 'its jobs after a start', jobs, [])
}
