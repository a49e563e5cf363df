import * as z from 'zod'
import { checked } from '../http/validate.ts'
import { port } from '../routes/query.ts'
import { joinWebSocket } from './join.ts'
import type { WebSocketHandler } from './upgrade.ts'

export const DialQuery = z.strictObject({ port })

/** A TCP connection to a port in the box. Errors of the connection come as an ordinary answer before the upgrade. */
export const dial: WebSocketHandler = async ({ box, search, signal, accept }, api) => {
  const query = checked(DialQuery, Object.fromEntries(search), 'query')
  const connection = await api.boxd(box, signal, { use: 'port' }).dial(query.port)
  connection.on('error', () => connection.destroy())
  const socket = await accept().catch((error: unknown) => {
    connection.destroy()
    throw error
  })
  joinWebSocket(socket, connection)
}
