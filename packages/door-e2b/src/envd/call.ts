import { Code, ConnectError, createContextKey, type HandlerContext } from '@connectrpc/connect'
import type { BoxdClient } from '@gibil/boxd-client'
import { type ErrorCode, GibilError } from '@gibil/contract'
import type { Sandbox } from '../view.ts'

/** A request that may do everything in one sandbox. */
export interface SandboxCall extends Sandbox {
  /** Whom the caller wants to be; undefined: the default user of the sandbox. */
  readonly user: string | undefined
  readonly boxd: (signal?: AbortSignal) => BoxdClient
  /** Breaks the answer off, as it would if the sandbox itself had gone: SDKs then look whether it has. */
  readonly breakOff: () => void
}

export const sandboxCall = createContextKey<SandboxCall | undefined>(undefined)

/** Set for every request before it comes to a service. */
export function callOf(context: HandlerContext): SandboxCall {
  const call = context.values.get(sandboxCall)
  if (!call) throw new ConnectError('The request is for no sandbox.', Code.Internal)
  return call
}

const codes: Partial<Record<ErrorCode, Code>> = {
  invalid_request: Code.InvalidArgument,
  invalid_path: Code.InvalidArgument,
  file_conflict: Code.InvalidArgument,
  command_not_found: Code.InvalidArgument,
  payload_too_large: Code.InvalidArgument,
  file_not_found: Code.NotFound,
  job_not_found: Code.NotFound,
  user_not_found: Code.Unauthenticated,
  unauthorized: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  limit_reached: Code.ResourceExhausted,
  disk_full: Code.ResourceExhausted,
  unsupported_by_door: Code.Unimplemented,
  wrong_state: Code.Unavailable,
  box_not_found: Code.Unavailable,
  boxd_unreachable: Code.Unavailable,
  interrupted: Code.Unavailable,
  timeout: Code.DeadlineExceeded,
  cancelled: Code.Canceled,
}

/** An error as Connect has it. */
export function toConnectError(thrown: unknown, { user }: Pick<SandboxCall, 'user'>): ConnectError {
  if (thrown instanceof ConnectError) return thrown
  const error = GibilError.from(thrown)
  if (error.code === 'user_not_found')
    return new ConnectError(`invalid username: '${user ?? ''}'`, Code.Unauthenticated)
  return new ConnectError(error.message, codes[error.code] ?? Code.Internal)
}

/** The sandbox has gone, or does not run, and not only this call failed. */
export const isLost = (error: unknown): boolean =>
  GibilError.is(error) && ['boxd_unreachable', 'wrong_state', 'box_not_found', 'interrupted'].includes(error.code)
