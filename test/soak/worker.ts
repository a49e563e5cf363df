import * as boxes from './actions/boxes.ts'
import * as commands from './actions/commands.ts'
import * as files from './actions/files.ts'
import * as jobs from './actions/jobs.ts'
import * as power from './actions/power.ts'
import type { Client } from './client.ts'
import { type BoxModel, withHistory } from './model.ts'

type Action = (client: Client, box: BoxModel) => Promise<void>

/** Every action with how often it is drawn. */
const actions: readonly (readonly [number, Action])[] = [
  [4, boxes.check],
  [3, boxes.list],
  [2, boxes.extend],
  [3, boxes.destroy],
  [1, boxes.brief],
  [2, boxes.abandonedCreate],
  [1, boxes.fleet],
  [4, power.pause],
  [3, power.stop],
  [6, commands.echo],
  [4, commands.feed],
  [4, commands.pour],
  [3, commands.flood],
  [3, commands.environment],
  [3, commands.oddEnds],
  [6, commands.append],
  [8, files.write],
  [4, files.verify],
  [3, files.readRange],
  [3, files.remove],
  [4, files.tree],
  [5, jobs.start],
  [5, jobs.inspect],
]
const weights = actions.reduce((sum, [weight]) => sum + weight, 0)
const boxesPerClient = 2

function draw(client: Client): Action {
  let left = client.random.int(1, weights)
  for (const [weight, action] of actions) {
    left -= weight
    if (left <= 0) return action
  }
  return boxes.check
}

/** Does what is drawn until it is told to end, then destroys its boxes. Throws SoakFailure. */
export async function work(client: Client, isOver: () => boolean): Promise<void> {
  const { boxes: own, random, daemon } = client
  while (!isOver()) {
    // Now and then into the arms of a daemon that is away.
    if (random.chance(0.9)) await daemon.back()
    const box = own.length > 0 ? own[random.int(0, own.length - 1)] : undefined
    if (box === undefined || (own.length < boxesPerClient && random.chance(0.1))) {
      await boxes.create(client)
      continue
    }
    await draw(client)(client, box).catch((error) => Promise.reject(withHistory(box, error)))
  }
  for (const box of [...own]) {
    await files
      .verify(client, box)
      .then(() => jobs.inspect(client, box))
      .then(() => boxes.destroy(client, box))
      .catch((error) => Promise.reject(withHistory(box, error)))
  }
}
