import { type ErrorCode, errorTable, GibilError } from '@gibil/contract'

/** The form of an error of the control plane; SDKs look at the code in it too. */
export interface ErrorAnswer {
  readonly status: number
  readonly body: { readonly code: number; readonly message: string }
}

/** Statuses that SDKs of E2B know, where ours would say more than they understand. */
const statuses: Partial<Record<ErrorCode, number>> = {
  lease_out_of_range: 400,
  size_beyond_host: 400,
  command_not_found: 400,
  file_conflict: 400,
  unsupported_by_shape: 501,
  user_not_found: 401,
  boxd_unreachable: 503,
  needs_root: 503,
}

const statusOf = ({ code }: GibilError): number => statuses[code] ?? errorTable[code].status

export function errorAnswer(error: GibilError): ErrorAnswer {
  const status = statusOf(error)
  const known = error.code === 'internal' || error.code === 'driver_failed' ? error.message : wordsOf(error)
  return { status, body: { code: status, message: known } }
}

/** Whoever asked has no `gibil`: only what the door itself says to do next is told. */
const wordsOf = ({ code, message, hint }: GibilError): string =>
  code === 'unsupported_by_door' || code === 'limit_reached' ? `${message} ${hint}` : message

export const noSandbox = (id: string): GibilError =>
  new GibilError('box_not_found', `Sandbox "${id.slice(0, 80)}" doesn't exist or you don't have access to it`)

/** For what would put values into requests on the way out. */
export const notPutIn = (what: string): GibilError =>
  notDone(
    what,
    'Nothing puts values into requests on the way out. What a sandbox may know goes into its envs; see docs/e2b.md.',
  )

/** For what E2B does and this door does not: it is said, and never passed over. */
export const notDone = (what: string, instead = 'See docs/e2b.md for what the door does.'): GibilError =>
  new GibilError('unsupported_by_door', `${what} is not supported here.`, { hint: instead })
