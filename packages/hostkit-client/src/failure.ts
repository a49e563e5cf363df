import { type ErrorCode, GibilError } from '@gibil/contract'

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EPERM: 'needs_root',
  ETIMEDOUT: 'timeout',
  ECANCELED: 'cancelled',
  EAGAIN: 'busy',
  missing_tool: 'missing_tool',
}

/** What hostkit could not do, as an error of the table with the errno in its details. */
export function hostkitFailure(op: string, code: string, message: string): GibilError {
  return new GibilError(codes[code] ?? 'driver_failed', `The host could not do ${op}: ${message}.`, {
    ...(codes[code] === 'disk_full' ? { hint: 'Free space on the host, or destroy boxes that are not needed.' } : {}),
    details: { op, errno: code },
  })
}

/** hostkit answered with something that the protocol does not know: it and the daemon are not of one version. */
export function wrongAnswer(op: string, cause: unknown): GibilError {
  return new GibilError('driver_failed', `hostkit answered ${op} with something that is not the protocol.`, {
    hint: 'Build it anew with `./gibil up`, and restart the daemon.',
    cause,
    details: { op },
  })
}
