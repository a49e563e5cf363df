import { type ErrorCode, GibilError } from '@gibil/contract'
import * as z from 'zod'

/**
 * What became of a request that failed: `refused`, the cloud did nothing; `unsent`, it never got there; `unknown`, it may have been carried out.
 */
export type Outcome = 'refused' | 'unsent' | 'unknown'

/** The facts of an answer that is no success. */
export interface Answer {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly text: string
  /** Hetzner's support asks for it. */
  readonly correlationId: string | null
}

/** As the API writes errors; a gateway may answer without one. */
const ErrorAnswer = z.object({
  error: z.object({ code: z.string(), message: z.string(), details: z.unknown().optional() }),
})

/** What a code of the API is to us; the others are `cloud_failed`. Codes are an open set (https://docs.hetzner.cloud, errors). */
const codes: Readonly<Record<string, ErrorCode>> = {
  unauthorized: 'cloud_unauthorized',
  token_readonly: 'cloud_unauthorized',
  forbidden: 'cloud_unauthorized',
  resource_limit_exceeded: 'cloud_limit',
  rate_limit_exceeded: 'cloud_limit',
  resource_unavailable: 'cloud_sold_out',
  placement_error: 'cloud_sold_out',
  no_space_left_in_location: 'cloud_sold_out',
}

const hints: Readonly<Record<string, string>> = {
  token_readonly:
    'This token can only read: make one with the permission "Read & Write" in the console of the project.',
  rate_limit_exceeded:
    'Others use the API of this project too; it takes 3600 requests in an hour. Try again in a minute.',
  protected: 'Somebody has switched on its protection from deletion: switch that off in the console.',
}

/** Our code for one of the API, in an answer or in an action that failed. */
export const cloudErrorCode = (code: string): ErrorCode => codes[code] ?? 'cloud_failed'

/** The error for an answer that is no success. */
export function failureOf(answer: Answer): GibilError {
  const { method, path, status, correlationId } = answer
  const parsed = ErrorAnswer.safeParse(parseJson(answer.text))
  const { code, message, details } = parsed.success
    ? parsed.data.error
    : { code: `http_${status}`, message: `status ${status}`, details: undefined }
  const ours = status === 401 ? 'cloud_unauthorized' : status >= 500 ? 'cloud_unreachable' : cloudErrorCode(code)
  return new GibilError(ours, `Hetzner Cloud refused ${method} ${path}: ${message} (${code})${limitsIn(details)}.`, {
    hint: hints[code],
    details: {
      cloudCode: code,
      status,
      correlationId,
      outcome: status >= 500 ? 'unknown' : 'refused',
      cloudDetails: details,
    },
  })
}

/** The error for a request that got no answer, or none that can be read. */
export function unanswered(method: string, path: string, outcome: Outcome, cause: unknown): GibilError {
  const why = cause instanceof Error ? (codeOf(cause) ?? cause.message) : String(cause)
  return new GibilError('cloud_unreachable', `Hetzner Cloud gave no answer to ${method} ${path}: ${why}.`, {
    cause,
    details: { outcome },
  })
}

/** The code that the API gave, such as `uniqueness_error`. */
export function cloudCodeOf(error: unknown): string | undefined {
  const code = GibilError.is(error) ? error.details?.['cloudCode'] : undefined
  return typeof code === 'string' ? code : undefined
}

/** Whether a call that failed may have been carried out. */
export const isUnknown = (error: unknown): boolean => GibilError.is(error) && error.details?.['outcome'] === 'unknown'

/** Whether the API said that there is no such thing. */
export const isNotFound = (error: unknown): boolean => cloudCodeOf(error) === 'not_found'

/** Failures before a request can have left this machine (connect(2), getaddrinfo(3)). */
const unsentErrors = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]

export const outcomeOf = (error: unknown): Outcome =>
  unsentErrors.includes(codeOf(error) ?? '') ? 'unsent' : 'unknown'

/** The code of an error of fetch is that of its cause. */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  return 'cause' in error ? codeOf(error.cause) : undefined
}

/** Which limits of the project were reached. */
function limitsIn(details: unknown): string {
  const limits = z.object({ limits: z.array(z.object({ name: z.string() })) }).safeParse(details)
  return limits.success ? `: ${limits.data.limits.map(({ name }) => name).join(', ')}` : ''
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
