import type { Box } from '@gibil/contract'
import type { BoxPlane } from '@gibil/core'

/** As long as it may take to make or wake a sandbox, on a slow host. */
const making = 600

/** The lease of a sandbox that is being made or woken: its time begins when it is handed over, as at E2B, and must not be over before. */
export const leaseUntilThere = (seconds: number): string => `${seconds + making}s`

/** From now on it has that many seconds. */
export const beginTime = (plane: BoxPlane, { id }: Pick<Box, 'id'>, seconds: number): Promise<Box> =>
  plane.extend(id, `${seconds}s`)
