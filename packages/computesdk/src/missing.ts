import { GibilError } from '@gibil/sdk'

/** Undefined when the box is not there. */
export async function ifThere<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (GibilError.is(error) && error.code === 'box_not_found') return undefined
    throw error
  }
}
