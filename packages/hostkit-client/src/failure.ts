import { type ErrorCode, GibilError } from '@gibil/contract'

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EPERM: 'needs_root',
  missing_tool: 'missing_tool',
}

/** What hostkit could not do, as an error of the table with the errno in its details. */
export function hostkitFailure(op: string, code: string, message: string): GibilError {
  return new GibilError(codes[code] ?? 'driver_failed', `The host could not do ${op}: ${message}.`, {
    details: { op, errno: code },
  })
}
