import type { Connection } from 'ssh2'
import { createAgentSocket } from './agent.ts'
import { forwardHere, forwardThere } from './forward.ts'
import type { Place } from './place.ts'
import { serveSession } from './session.ts'

/** Serves a client that has logged in: sessions, and connections both ways. */
export function serveConnection(client: Connection, place: Place): void {
  const agent = createAgentSocket(client, place)
  client.on('session', (accept) => serveSession(accept(), place, agent))
  client.on('tcpip', (accept, reject, { destIP, destPort }) => {
    void forwardThere(place, destIP, destPort, accept, reject)
  })
  forwardHere(client, place)
}
