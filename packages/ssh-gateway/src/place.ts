import type { BoxdClient } from '@gibil/boxd-client'
import type { Box } from '@gibil/contract'
import type { GatewayBoxes } from './boxes.ts'
import type { Login } from './login.ts'

/** The box of one connection, looked up when something is asked of it first. Both throw `box_not_found`. */
export interface Place {
  /** Whom to be in the box. */
  user(): Promise<string>
  /** Wakes a box that sleeps. */
  boxd(use: 'command' | 'port'): Promise<BoxdClient>
}

/** All that is asked by it ends with the signal. */
export function createPlace(login: Login, boxes: GatewayBoxes, signal: AbortSignal): Place {
  let known: Promise<Box> | undefined
  const box = (): Promise<Box> => {
    known ??= boxes.get(login.box).catch((error: unknown) => {
      known = undefined
      throw error
    })
    return known
  }
  return {
    user: async () => login.user ?? (await box()).user,
    boxd: async (use) => boxes.boxd((await box()).id, signal, use),
  }
}
