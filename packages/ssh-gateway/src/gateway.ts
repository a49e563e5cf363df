import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GibilError } from '@gibil/contract'
import ssh2 from 'ssh2'
import type { KeyPlaces } from './admitted-keys.ts'
import { admit } from './authenticate.ts'
import type { GatewayBoxes } from './boxes.ts'
import { serveConnection } from './connection.ts'
import { type Login, loginOf } from './login.ts'
import { createPlace } from './place.ts'

export interface GatewayOptions {
  /** Private, as OpenSSH writes it. */
  readonly hostKey: string
  readonly keys: KeyPlaces
  /** What whoever has one of these keys reaches. */
  readonly boxes: GatewayBoxes
  readonly log: { debug(facts: object, message: string): void }
}

/** For a client that came by a way which has let him in already, to one box: the user that ssh names is then the user in it. */
interface Entrance {
  readonly boxes: GatewayBoxes
  readonly box: string
}

export interface SshGateway {
  /** Serves one client on a byte stream, until that closes. Never throws. */
  serve(stream: Duplex, entrance?: Entrance): void
  /** Ends all connections. Commands end with them as they do when a client is gone. */
  close(): void
}

/** A client that has not logged in by then is sent away, as by LoginGraceTime of sshd. */
const loginMs = 30_000

/** So many may be about to log in, as by MaxStartups of sshd: whoever has no key does not keep out those who have one for long. */
const mostLogins = 100

/** Those that Node's own code does. What OpenSSH would ask for first is slower here by far; it has had these since 6.2 (2013). */
const cipher = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes256-ctr'] as const

/** A client that is stopped answers nothing, and is not gone: its connection tells of that. So ssh2 asks after 24 days, which is all that a timer takes. */
const keepaliveInterval = 2 ** 31 - 1

export function createSshGateway({ hostKey, keys, boxes, log }: GatewayOptions): SshGateway {
  const open = new Set<Duplex>()
  const loggingIn = new Set<Duplex>()

  const greet = (
    client: ssh2.Connection,
    entrance: Entrance | undefined,
    abort: AbortController,
    loggedIn: () => void,
  ): void => {
    let login: Login | undefined
    client.on('error', (error) => log.debug({ err: error }, 'a client of ssh failed'))
    client.on('authentication', (attempt) => {
      if (entrance) {
        login = { box: entrance.box, user: attempt.username }
        return attempt.accept()
      }
      login = loginOf(attempt.username)
      void admit(attempt, keys)
    })
    client.once('ready', () => {
      loggedIn()
      if (login) serveConnection(client, createPlace(login, entrance?.boxes ?? boxes, abort.signal))
    })
  }

  return {
    serve(stream, entrance) {
      if (!entrance && loggingIn.size >= mostLogins) return void stream.destroy()
      const abort = new AbortController()
      open.add(stream)
      loggingIn.add(stream)
      const late = setTimeout(() => stream.destroy(), loginMs)
      const loggedIn = (): void => {
        loggingIn.delete(stream)
        clearTimeout(late)
      }
      stream.on('error', () => stream.destroy())
      stream.once('close', () => {
        open.delete(stream)
        loggedIn()
        abort.abort(new GibilError('cancelled', 'The client of ssh went away.'))
      })
      // One for each connection, so that it is known by which way it came.
      const config = { hostKeys: [hostKey], ident: 'Gibil', algorithms: { cipher: [...cipher] }, keepaliveInterval }
      const server = new ssh2.Server(config, (client) => greet(client, entrance, abort, loggedIn))
      // It takes any stream, and looks whether that can do what only a socket can.
      server.injectSocket(stream as Socket)
    },
    close() {
      for (const stream of open) stream.destroy()
    },
  }
}
