import type { CommandChannel } from '@gibil/boxd-client'
import { FrameType } from '@gibil/contract'
import type { PseudoTtyInfo, ServerChannel, Session } from 'ssh2'
import type { AgentSocket } from './agent.ts'
import { passCommand } from './command.ts'
import { environment, isAccepted } from './environment.ts'
import { failureOf } from './failure.ts'
import type { Place } from './place.ts'
import { shellLine } from './shell-line.ts'
import { sizeOf } from './terminal.ts'

/** What a session is to run: a login shell, a line for the user's shell, or SFTP. */
type Wanted = { readonly kind: 'shell' } | { readonly kind: 'exec'; readonly line: string } | { readonly kind: 'sftp' }

/** One session: what it is given before it starts, then one command. */
export function serveSession(session: Session, place: Place, agent: AgentSocket): void {
  const env = new Map<string, string>()
  let terminal: PseudoTtyInfo | undefined
  let wantsAgent = false
  let running: CommandChannel | undefined

  const send = (type: typeof FrameType.resize | typeof FrameType.signal, value: object): void =>
    void running?.send(type, Buffer.from(JSON.stringify(value))).catch(() => undefined)

  session.on('env', (accept, reject, { key, val }) => {
    if (!isAccepted(key, val) || env.size >= 64) return reject?.()
    env.set(key, val)
    accept?.()
  })
  session.on('pty', (accept, _reject, info) => {
    terminal = info
    accept?.()
  })
  session.on('window-change', (accept, _reject, info) => {
    if (terminal) terminal = { ...terminal, ...info }
    send(FrameType.resize, sizeOf(info))
    accept?.()
  })
  session.on('signal', (accept, _reject, { name }) => {
    send(FrameType.signal, { signal: `SIG${name}`, group: true })
    accept?.()
  })
  session.on('auth-agent', (accept) => {
    wantsAgent = true
    accept?.()
  })

  const open = async (wanted: Wanted): Promise<CommandChannel> => {
    const boxd = await place.boxd('command')
    const user = await place.user()
    const socket = wantsAgent ? await agent.path() : undefined
    const common = {
      user,
      cwd: '/',
      env: environment(env, terminal, socket),
      stdin: true,
      label: 'ssh',
      hangUp: true,
      ...(terminal ? { tty: sizeOf(terminal) } : {}),
    }
    if (wanted.kind === 'sftp') return boxd.openBuiltin({ ...common, builtin: 'sftp' })
    return boxd.openCommand({ ...common, argv: shellLine(wanted.kind === 'exec' ? wanted.line : undefined) })
  }

  const run = async (channel: ServerChannel, wanted: Wanted): Promise<void> => {
    let closed = false
    channel.on('error', () => channel.destroy())
    channel.once('close', () => {
      closed = true
      // boxd sees that nobody listens any more, and hangs up.
      running?.close()
    })
    try {
      running = await open(wanted)
      if (closed) return
      if (terminal) send(FrameType.resize, sizeOf(terminal))
      await passCommand(channel, running)
    } catch (thrown) {
      const { text, status } = failureOf(thrown)
      if (!channel.writable) return
      channel.stderr.write(terminal ? text.replaceAll('\n', '\r\n') : text)
      channel.exit(status)
    } finally {
      running?.close()
      channel.end()
    }
  }

  session.once('shell', (accept) => void run(accept(), { kind: 'shell' }))
  session.once('exec', (accept, _reject, { command }) => void run(accept(), { kind: 'exec', line: command }))
  session.once('subsystem', (accept, reject, { name }) => {
    if (name === 'sftp') void run(accept(), { kind: 'sftp' })
    else reject()
  })
}
