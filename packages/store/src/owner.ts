import type { Owner } from '@gibil/core'

/** What the column of the owner holds. */
export const column = (owner: Owner): string => owner ?? ''
