import { refOf } from '@gibil/sdk'
import { commands, type ExtensionContext, env, window } from 'vscode'
import type { Daemon } from '../daemon/daemon.ts'
import { gibilCommand, keepToken } from '../daemon/settings.ts'
import { ask, pickBox, type Target } from './pick.ts'

const word = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

/** In a terminal, since it may install packages, and says what it lacks. */
export async function startDaemon(daemon: Daemon): Promise<void> {
  const endpoint = await daemon.endpoint()
  const home = endpoint.kind === 'socket' ? ['--home', endpoint.home] : []
  const terminal = window.createTerminal({ name: 'gibil up' })
  terminal.show()
  terminal.sendText([gibilCommand(), 'up', ...home].map(word).join(' '))
}

export async function setToken({ secrets }: Pick<ExtensionContext, 'secrets'>): Promise<void> {
  const token = await ask({
    title: 'Set Token',
    prompt:
      'The token of a daemon that is reached by an address: of `gibil token create`, or `$GIBIL_HOME/token` there.',
    placeHolder: 'empty: forget it',
    password: true,
  })
  await keepToken(secrets, token)
}

export const openSettings = (): Thenable<unknown> =>
  commands.executeCommand('workbench.action.openSettings', '@ext:gibil.gibil-vscode')

export async function copyName(daemon: Daemon, target: Target): Promise<void> {
  await env.clipboard.writeText(refOf(await pickBox(daemon, target, 'Copy Name')))
}
