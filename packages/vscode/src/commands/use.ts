import { type ExtensionContext, env, ThemeIcon, Uri, window } from 'vscode'
import type { Daemon } from '../daemon/daemon.ts'
import { setupLog } from '../terminal/log.ts'
import { boxTerminal } from '../terminal/pty.ts'
import { ask, choose, handleOf, pickBox, type Target } from './pick.ts'

/** A shell in a box. */
export async function openTerminal(daemon: Daemon, target: Target): Promise<void> {
  const box = await pickBox(daemon, target, 'Open Terminal')
  const pty = boxTerminal(handleOf(daemon, box), box.name)
  window.createTerminal({ name: box.name, pty, iconPath: new ThemeIcon('vm') }).show()
}

const lastCommand = 'gibil.lastCommand'

/** Runs a line in a box, in a terminal that shows what it prints and how it ends. */
export async function runCommand(daemon: Daemon, target: Target, memory: ExtensionContext['workspaceState']) {
  const box = await pickBox(daemon, target, 'Run Command')
  const value = memory.get(lastCommand, '')
  const command = await ask({ title: `Run Command in ${box.name}`, placeHolder: 'npm test', value })
  if (command === '') return
  await memory.update(lastCommand, command)
  const pty = boxTerminal(handleOf(daemon, box), box.name, command)
  window.createTerminal({ name: `${box.name}: ${command}`, pty, iconPath: new ThemeIcon('play') }).show()
}

export async function showSetupLog(daemon: Daemon, target: Target): Promise<void> {
  const box = await pickBox(daemon, target, 'Show Log of Set-up')
  window.createTerminal({ name: `${box.name}: set-up`, pty: setupLog(handleOf(daemon, box)) }).show()
}

/** Asks for a port, those first on which something listens. */
export async function publishPort(daemon: Daemon, target: Target): Promise<void> {
  const box = await pickBox(daemon, target, 'Publish Port')
  const title = `Publish Port of ${box.name}`
  const handle = handleOf(daemon, box)
  const open = await handle.ports()
  const taken = new Set(box.published.map(({ port }) => port))
  const processes = new Map(open.map(({ port, process }) => [port, process ?? '']))
  for (const port of box.ports) if (!processes.has(port)) processes.set(port, 'of .gibil.yml')
  const listed = [...processes].filter(([port]) => !taken.has(port))
  const picked = await choose<number | undefined>(
    [
      ...listed.map(([port, description]) => ({ label: `$(plug) ${port}`, description, value: port })),
      { label: '$(edit) Another port…', value: undefined },
    ],
    { title, placeHolder: 'Which port?' },
  )
  const validateInput = (text: string) =>
    /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) < 65_536 ? undefined : 'A number from 1 to 65535.'
  const port = picked ?? Number(await ask({ title, prompt: 'Which port?', validateInput }))
  const isPublic = await choose(
    [
      { label: '$(lock) Private', description: 'its link holds a token, without which nobody is let in', value: false },
      { label: '$(globe) Public', description: 'for all that reaches this machine', value: true },
    ],
    { title, placeHolder: 'For whom?' },
  )
  await handle.publish(port, { public: isPublic })
  await daemon.refresh()
}

async function linkOf(daemon: Daemon, target: Target): Promise<string | undefined> {
  const box = await pickBox(daemon, target, 'Published Ports')
  const ports = await handleOf(daemon, box).published()
  const port =
    target?.port ??
    (await choose(
      ports.map(({ port: number }) => ({ label: String(number), value: number })),
      { title: `Published Ports of ${box.name}` },
    ))
  const found = ports.find((published) => published.port === port)
  if (!found?.link) void window.showWarningMessage('The proxy of the daemon does not listen: see `gibil doctor`.')
  return found?.link ?? undefined
}

export async function openPort(daemon: Daemon, target: Target): Promise<void> {
  const link = await linkOf(daemon, target)
  if (link) await env.openExternal(Uri.parse(link))
}

export async function copyPort(daemon: Daemon, target: Target): Promise<void> {
  const link = await linkOf(daemon, target)
  if (link) await env.clipboard.writeText(link)
}

export async function unpublishPort(daemon: Daemon, target: Target): Promise<void> {
  const box = await pickBox(daemon, target, 'Unpublish Port')
  const port =
    target?.port ??
    (await choose(
      box.published.map((published) => ({ label: String(published.port), value: published.port })),
      { title: `Unpublish Port of ${box.name}` },
    ))
  await handleOf(daemon, box).unpublish(port)
  await daemon.refresh()
}
