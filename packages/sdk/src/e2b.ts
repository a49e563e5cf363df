import { E2bDoor, type SetUpE2b } from '@gibil/contract'
import type { Transport } from './connect/transport.ts'

interface Cancel {
  readonly signal?: AbortSignal | undefined
}

/** The door that speaks E2B. For the administrator only. */
export interface E2b {
  /** Opens it, or opens it in another way. */
  setUp(input?: SetUpE2b, options?: Cancel): Promise<E2bDoor>
  /** Throws `wrong_state` when it is not open. */
  state(options?: Cancel): Promise<E2bDoor>
}

export function createE2b(transport: Transport): E2b {
  return {
    setUp: (body = {}, options = {}) => transport.call(E2bDoor, 'POST', '/e2b', { body, ...options }),
    state: (options = {}) => transport.call(E2bDoor, 'GET', '/e2b', options),
  }
}
