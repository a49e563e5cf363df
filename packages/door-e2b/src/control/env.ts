import type { BoxPlane } from '@gibil/core'

/** What is known of a call once its key is. */
export interface Env {
  Variables: {
    readonly plane: BoxPlane
    /** The name of the key. */
    readonly owner: string
  }
}
