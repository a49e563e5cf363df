import { dial } from './dial.ts'
import { exec } from './exec.ts'
import { ssh } from './ssh.ts'
import type { WebSocketHandler } from './upgrade.ts'

/** By the last part of the path, `/v1/boxes/{box}/<name>`. */
export const webSocketHandlers: ReadonlyMap<string, WebSocketHandler> = new Map([
  ['exec', exec],
  ['dial', dial],
  ['ssh', ssh],
])
