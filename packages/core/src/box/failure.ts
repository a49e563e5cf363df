import { type ErrorCode, errorTable, type Failure, GibilError } from '@gibil/contract'

/** The end of an output that a failure carries, in characters. */
export const failureLogLength = 4096

const isCode = (code: string): code is ErrorCode => code in errorTable

/** What is kept of an error with a box. */
export function toFailure(thrown: unknown): Failure {
  const error = GibilError.from(thrown)
  const { step, log } = error.details ?? {}
  return {
    code: error.code,
    message: error.message,
    hint: error.hint,
    ...(typeof step === 'string' ? { step } : {}),
    ...(typeof log === 'string' ? { log: log.slice(-failureLogLength) } : {}),
  }
}

/** The error that a kept failure stands for. */
export function toError(failure: Failure, details: Readonly<Record<string, unknown>> = {}): GibilError {
  const { code, message, hint, step, log } = failure
  return new GibilError(isCode(code) ? code : 'internal', message, {
    hint,
    details: { ...details, ...(step === undefined ? {} : { step }), ...(log === undefined ? {} : { log }) },
  })
}
