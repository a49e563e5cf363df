import { connect as connectTcp, type Socket } from 'node:net'
import { GibilError } from '@gibil/contract'
import ssh2, { type ClientCallback, type ClientChannel } from 'ssh2'
import { hostKeyMismatch, keyBlob } from './host-key.ts'
import { guardWindow } from './window.ts'

/** Where to log in, and as whom. */
export interface Place {
  /** Of the box, for messages. */
  readonly id: string
  readonly host: string
  readonly port: number
  readonly username: string
  /** OpenSSH or PEM text without a passphrase. */
  readonly privateKey: string
  /** The public key that the machine must have, as one line of OpenSSH. Any other is refused. */
  readonly hostKey: string
  /** Between two signs of life that are asked for when nothing else comes. Three that fail end the connection. */
  readonly keepaliveMs: number
  /** For the TCP connection, the exchange of keys and the login together. */
  readonly loginMs: number
}

/** One SSH connection that is logged in. Its channels end with it. */
export interface Connection {
  readonly socket: Socket
  /** A command in the login shell. Throws `boxd_unreachable`. */
  exec(command: string): Promise<ClientChannel>
  /** A connection to a unix socket of the machine; undefined when nothing listens there. Throws `boxd_unreachable`. */
  forward(path: string): Promise<ClientChannel | undefined>
  /** Calls back once when it is lost or ended; at once when it is already. Returns what takes the listener back. */
  onLost(listener: (why: GibilError) => void): () => void
  end(): void
}

/**
 * Connects and logs in. Throws `boxd_unreachable` when the machine does not answer or does not take the key, `host_key_mismatch` when it is
 * another one.
 */
export function connect(place: Place): Promise<Connection> {
  const { id, host, port } = place
  const pinned = keyBlob(place.hostKey)
  const at = `${host}:${port}`
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client()
    const socket = connectTcp({ host, port, noDelay: true })
    // The library passes it on as an error of its own, once it listens.
    socket.on('error', () => undefined)
    const listeners = new Set<(why: GibilError) => void>()
    let lost: GibilError | undefined
    let mismatch: GibilError | undefined
    let last: unknown
    const lose = (): void => {
      if (lost) return
      lost = mismatch ?? unreachable(`The SSH connection to box ${id} at ${at} was lost: ${reasonOf(last)}.`, last)
      reject(mismatch ?? unreachable(`Box ${id} is not reached by SSH at ${at}: ${reasonOf(last)}.`, last))
      for (const listener of listeners) listener(lost)
      listeners.clear()
    }
    // The library ends the connection itself after most errors, but not after each.
    client.on('error', (error) => {
      last ??= error
      socket.destroy()
    })
    client.on('close', lose)
    client.on('ready', () => resolve(connection))
    /** Undefined when the machine refuses; then it gives a reason, as a number (RFC 4254, 5.1). A lost connection gives none. */
    const openChannel = (ask: (answered: ClientCallback) => void): Promise<ClientChannel | undefined> =>
      new Promise((done, failed) => {
        const fail = (error: unknown): void =>
          failed(lost ?? unreachable(`The SSH connection to box ${id} broke off: ${reasonOf(error)}.`, error))
        if (lost) return fail(lost)
        try {
          ask((error, channel) => {
            if (typeof (error as { reason?: unknown } | undefined)?.reason === 'number') done(undefined)
            else if (error) fail(error)
            else {
              guardWindow(channel, client, socket)
              done(channel)
            }
          })
        } catch (error) {
          // The library knows that its socket is closed before it says so: whoever asks for a connection now gets another.
          last ??= error
          socket.destroy()
          lose()
          fail(error)
        }
      })
    const connection: Connection = {
      socket,
      async exec(command) {
        const channel = await openChannel((answered) => client.exec(command, answered))
        if (channel) return channel
        throw unreachable(`The SSH server of box ${id} starts no command; it may have a limit on sessions.`)
      },
      forward: (path) => openChannel((answered) => client.openssh_forwardOutStreamLocal(path, answered)),
      onLost(listener) {
        if (lost) listener(lost)
        else listeners.add(listener)
        return () => listeners.delete(listener)
      },
      end() {
        last ??= new Error('it was closed')
        client.end()
        // A machine that is gone would not take part in a farewell.
        socket.destroySoon()
      },
    }
    try {
      client.connect({
        sock: socket,
        username: place.username,
        privateKey: place.privateKey,
        readyTimeout: place.loginMs,
        keepaliveInterval: place.keepaliveMs,
        keepaliveCountMax: 3,
        hostVerifier: (key: Buffer) => {
          if (key.equals(pinned)) return true
          mismatch = hostKeyMismatch(id, at, pinned, key)
          return false
        },
      })
    } catch (error) {
      socket.destroy()
      reject(unreachable(`Box ${id} is not reached by SSH at ${at}: ${reasonOf(error)}.`, error))
    }
  })
}

const reasonOf = (error: unknown): string => (error instanceof Error && error.message ? error.message : 'it was closed')

export const unreachable = (message: string, cause?: unknown): GibilError =>
  new GibilError('boxd_unreachable', message, cause === undefined ? {} : { cause })
