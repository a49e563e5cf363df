import type { WebSocketHandler } from './upgrade.ts'
export const exec: WebSocketHandler = async () => undefined
