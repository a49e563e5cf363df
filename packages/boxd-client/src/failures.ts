import { type ErrorCode, errorTable, GibilError } from '@gibil/contract'
import * as z from 'zod'

/** The codes that boxd may answer with. Others it could only send to mislead, such as `unauthorized`. */
const boxdCodes = new Set<string>([
  'invalid_request',
  'invalid_path',
  'permission_denied',
  'file_not_found',
  'job_not_found',
  'file_conflict',
  'wrong_state',
  'payload_too_large',
  'command_not_found',
  'user_not_found',
  'limit_reached',
  'boxd_unreachable',
  'port_closed',
  'disk_full',
  'internal',
] satisfies ErrorCode[])
const maxMessageLength = 1000

const ErrorAnswer = z.object({ error: z.object({ code: z.string(), message: z.string() }) })
const isCode = (code: string): code is ErrorCode => boxdCodes.has(code) && code in errorTable

/** The error that a body of boxd tells of. */
export function refusal(body: unknown): GibilError {
  const parsed = ErrorAnswer.safeParse(body)
  if (!parsed.success || !isCode(parsed.data.error.code)) {
    return violation('an error without a code that boxd knows', parsed.error)
  }
  const { code, message } = parsed.data.error
  // A message ends up in terminals and logs.
  const printable = message.slice(0, maxMessageLength).replaceAll(/\p{Cc}/gu, ' ')
  return new GibilError(code, printable)
}

/** boxd broke the protocol. */
export const violation = (what: string, cause?: unknown): GibilError =>
  new GibilError('boxd_protocol', `boxd sent ${what}.`, { cause })

/** The connection to boxd was lost or could not be made. */
export const unreachable = (why: string, cause?: unknown): GibilError =>
  new GibilError('boxd_unreachable', why, { cause })

/** Why an aborted call rejects. */
export const cancellation = (signal: AbortSignal): GibilError =>
  GibilError.is(signal.reason)
    ? signal.reason
    : new GibilError('cancelled', 'The call to boxd was cancelled.', { cause: signal.reason })
