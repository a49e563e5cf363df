/** Before every route of version 1 of the API. */
export const apiPrefix = '/v1'
