import type { E2bDoor, SetUpE2b } from '@gibil/contract'

/** The door that speaks E2B. It costs nothing until it is set up once. */
export interface E2bMount {
  /** Opens it, if it was set up before. Never rejects: the daemon does its other work without. */
  resume(): Promise<void>
  /** Opens it, or opens it in another way; what it is asked for is kept. Throws `host_unfit` for a port that is taken. */
  setUp(wish: SetUpE2b): Promise<E2bDoor>
  /** Undefined: it is not open. */
  state(): E2bDoor | undefined
  close(): Promise<void>
}
