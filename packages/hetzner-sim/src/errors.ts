/** An answer that refuses, in the shape of the API: `{"error": {"code", "message", "details"}}`. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly details: object | null

  constructor(status: number, code: string, message: string, details: object | null = null) {
    super(message)
    this.status = status
    this.code = code
    this.details = details
  }
}

export const errorBody = ({ code, message, details }: Pick<ApiError, 'code' | 'message' | 'details'>): object => ({
  error: { code, message, details },
})

/** 422: what a field holds cannot be used. */
export const invalid = (field: string, message: string): ApiError =>
  new ApiError(422, 'invalid_input', `invalid input in field '${field}'`, {
    fields: [{ name: field, messages: [message] }],
  })

/** 409: another one has this value already, which must be its alone in the project. */
export const notUnique = (field: string, message: string): ApiError =>
  new ApiError(409, 'uniqueness_error', message, { fields: [{ name: field, messages: [message] }] })

export const notFound = (what: string, id: number | string): ApiError =>
  new ApiError(404, 'not_found', `${what} with ID '${id}' not found`)

export const locked = (what: string): ApiError => new ApiError(423, 'locked', `${what} is locked`)

export const isProtected = (what: string): ApiError => new ApiError(423, 'protected', `${what} deletion is protected`)

/** 403: the project may have no more of these. `what` is the singular name of the resource. */
export const overLimit = (what: string): ApiError =>
  new ApiError(403, 'resource_limit_exceeded', `${what.replaceAll('_', ' ')} limit exceeded`, {
    limits: [{ name: `${what}_limit` }],
  })

/** 412, with the body that was observed on the wire. */
export const soldOut = (): ApiError => new ApiError(412, 'resource_unavailable', 'error during placement')
