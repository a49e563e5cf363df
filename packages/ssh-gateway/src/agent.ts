import type { BoxListener } from '@gibil/boxd-client'
import type { Connection, ServerChannel } from 'ssh2'
import { join } from './join.ts'
import type { Place } from './place.ts'

/** The socket in the box behind which the ssh-agent of the client is. */
export interface AgentSocket {
  /** Made when first asked for; it goes with the connection. Throws what boxd does. */
  path(): Promise<string | undefined>
}

/** Only the user of the login can connect to it, as with sshd. */
export function createAgentSocket(client: Connection, place: Place): AgentSocket {
  let listener: Promise<BoxListener> | undefined

  const listen = async (): Promise<BoxListener> => {
    const boxd = await place.boxd('command')
    const made = await boxd.listen({ socketOf: await place.user() })
    void pass(made)
    return made
  }
  const pass = async (made: BoxListener): Promise<void> => {
    try {
      for await (const { id } of made) {
        openAgentChannel(client, (channel) => {
          place
            .boxd('command')
            .then((boxd) => boxd.accept(id))
            .then((stream) => join(stream, channel))
            .catch(() => channel.destroy())
        })
      }
    } catch {
      // The box is gone, or the client.
    }
  }
  return {
    async path() {
      listener ??= listen()
      return (await listener).place.path
    },
  }
}

/** What ssh2 has of it, and does not show: its server can open every kind of channel but this one. */
interface Inside {
  readonly _chanMgr: { add(opened: (error: Error | undefined, channel: ServerChannel) => void): number }
  readonly _protocol: { openssh_authAgent(channel: number, window: number, packet: number): void }
}

/** As MAX_WINDOW and PACKET_SIZE of ssh2, which its channels count with. */
const windowBytes = 2 * 1024 * 1024
const packetBytes = 32 * 1024

function openAgentChannel(client: Connection, use: (channel: ServerChannel) => void): void {
  const { _chanMgr: channels, _protocol: protocol } = client as unknown as Inside
  const opened = (error: Error | undefined, channel: ServerChannel): void => {
    if (!error) use(channel)
  }
  const number = channels.add(Object.assign(opened, { type: 'auth-agent@openssh.com' }))
  if (number !== -1) protocol.openssh_authAgent(number, windowBytes, packetBytes)
}
