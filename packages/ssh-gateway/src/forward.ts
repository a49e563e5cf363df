import type { BoxListener } from '@gibil/boxd-client'
import type { Connection, ServerChannel } from 'ssh2'
import { join } from './join.ts'
import type { Place } from './place.ts'

/** By any of its names: boxd then tries both loopback addresses. */
const loopback: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1', ''])

/** `-L` and `-D`: from a client to a port that the box can reach. */
export async function forwardThere(
  place: Place,
  host: string,
  port: number,
  accept: () => ServerChannel,
  reject: () => void,
): Promise<void> {
  try {
    const boxd = await place.boxd('port')
    join(await boxd.dial(port, loopback.has(host) ? undefined : host), accept())
  } catch {
    reject()
  }
}

/** Below it, only root may listen; boxd, which does it for him, is root. */
const firstFreePort = 1024

/** `-R`: a port of the box, on its loopback address as by a stock sshd, whose connections go to the client. */
export function forwardHere(client: Connection, place: Place): void {
  const listeners = new Map<string, BoxListener>()
  const nameOf = (host: string, port: number): string => `${host} ${port}`

  const listen = async (host: string, asked: number): Promise<number> => {
    const privileged = asked > 0 && asked < firstFreePort
    if (privileged && (await place.user()) !== 'root') throw new Error('only root may listen there')
    const boxd = await place.boxd('port')
    const listener = await boxd.listen({ port: asked })
    const port = listener.place.port ?? asked
    listeners.set(nameOf(host, port), listener)
    void pass(listener, host, port)
    return port
  }
  const pass = async (listener: BoxListener, host: string, port: number): Promise<void> => {
    try {
      for await (const arrival of listener) {
        client.forwardOut(host, port, arrival.host ?? '127.0.0.1', arrival.port ?? 0, (error, channel) => {
          // What nobody takes, boxd closes.
          if (error) return
          place
            .boxd('port')
            .then((boxd) => boxd.accept(arrival.id))
            .then((stream) => join(stream, channel))
            .catch(() => channel.destroy())
        })
      }
    } catch {
      // The box is gone, or the client: either ends the listening.
    } finally {
      listeners.delete(nameOf(host, port))
    }
  }

  client.on('request', (accept, reject, name, info) => {
    if (name === 'tcpip-forward') {
      listen(info.bindAddr, info.bindPort).then(
        (port) => accept?.(port),
        () => reject?.(),
      )
      return
    }
    const listener = name === 'cancel-tcpip-forward' ? listeners.get(nameOf(info.bindAddr, info.bindPort)) : undefined
    if (!listener) return reject?.()
    listener.close()
    accept?.()
  })
}
