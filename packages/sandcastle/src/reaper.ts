/** Ends one box after the process that made it is gone. A create that was cut off may show its box a moment later. */
import { setTimeout as sleep } from 'node:timers/promises'
import { endBox } from './leave-nothing.ts'

const tries = 20
const made = JSON.parse(process.argv[2] ?? '')
for (let number = 0; number < tries; number += 1) {
  if (await endBox(made).catch(() => false)) break
  await sleep(500)
}
