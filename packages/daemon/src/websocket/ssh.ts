import { duplexPair } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { boxNamed } from '../missing-box.ts'
import { joinWebSocket } from './join.ts'
import type { WebSocketHandler } from './upgrade.ts'

/** A connection to the SSH gateway, already in one box: the user that ssh names is the user in it, and nothing more is asked of him. */
export const ssh: WebSocketHandler = async ({ box, search, accept }, api) => {
  if (search.size > 0) throw new GibilError('invalid_request', 'This route takes no query.')
  const { id } = await boxNamed(api.plane, box)
  const [ours, theirs] = duplexPair()
  await api.daemon.ssh.serve(theirs, id, api)
  ours.once('close', () => theirs.destroy())
  theirs.once('close', () => ours.destroy())
  joinWebSocket(await accept(), ours)
}
