import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { SshState } from '@gibil/contract'
import type { GatewayBoxes, SshAddress } from '@gibil/ssh-gateway'
import type { Logger } from 'pino'
import type { Api } from './api.ts'
import { boxNamed } from './missing-box.ts'
import { type Home, readPort, writePort } from './process/home.ts'

/** The SSH gateway as a part of the daemon: made when it is first needed, since most of the daemon does without. */
export interface SshDoor {
  /** Where it is; listens from then on, unless it is switched off. Throws `host_unfit` when the host key of the home cannot be read. */
  state(): Promise<SshState>
  /** Serves a client that the API has let in to one box. */
  serve(stream: Duplex, box: string, api: Api): Promise<void>
  close(): Promise<void>
}

interface SshDoorOptions {
  readonly home: Home
  readonly wanted: SshAddress | 'off'
  /** What a client that comes by the port and has a key reaches. */
  readonly boxes: () => Api
  readonly log: Logger
}

export function createSshDoor({ home, wanted, boxes, log }: SshDoorOptions): SshDoor {
  const open = async () => {
    const { createSshGateway, listenForSsh, readOrMakeHostKey } = await import('@gibil/ssh-gateway')
    const hostKey = await readOrMakeHostKey(join(home.sshDir, 'host_ed25519'))
    const at = (name: string): string => join(home.sshDir, name)
    const keys = { files: [at('id_ed25519.pub'), at('authorized_keys')], userDirectory: join(homedir(), '.ssh') }
    const gateway = createSshGateway({ hostKey: hostKey.private, keys, boxes: boxesOf(boxes()), log })
    const last = await readPort(home.sshPortFile)
    const listener = await listenForSsh(gateway, wanted, last)
    const { host, port, problem } = listener
    if (port !== null && port !== last) {
      const failed = (error: unknown): void => log.warn({ err: error }, 'ssh may have another port next time')
      await writePort(home.sshPortFile, port).catch(failed)
    }
    if (port === null && wanted !== 'off') log.warn({ problem }, 'ssh is not served')
    if (port !== null) log.info({ host, port }, 'listening for ssh')
    return { gateway, listener, state: { host, port, problem, hostKey: hostKey.public } }
  }
  let opened: ReturnType<typeof open> | undefined
  const opening = (): ReturnType<typeof open> => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }

  return {
    state: async () => (await opening()).state,
    async serve(stream, box, api) {
      const { gateway } = await opening()
      gateway.serve(stream, { boxes: boxesOf(api), box })
    },
    async close() {
      const parts = await opened?.catch(() => undefined)
      const closed = parts?.listener.close()
      parts?.gateway.close()
      await closed
    },
  }
}

const boxesOf = (api: Api): GatewayBoxes => ({
  async get(ref) {
    await api.daemon.ready
    return boxNamed(api.plane, ref)
  },
  boxd: (id, signal, use) => api.boxd(id, signal, { use }),
})
