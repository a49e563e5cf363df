import type { BoxdClient } from '@gibil/boxd-client'
import type { Box } from '@gibil/contract'

/** What the gateway needs of the control plane: the boxes that one caller may know of. */
export interface GatewayBoxes {
  /** By name or id. Throws `box_not_found`. */
  get(ref: string): Promise<Box>
  /** boxd in a box, reached anew for each call; wakes a box that sleeps, and keeps it awake while a call is open. */
  boxd(id: string, signal: AbortSignal, use: 'command' | 'port'): BoxdClient
}
