import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { GibilError } from '@gibil/sdk'
import { commands, env, extensions, Uri, window } from 'vscode'
import { givenUp, handleOf, pickBox, type Target } from '../commands/pick.ts'
import { homeOf, runGibil } from '../daemon/cli.ts'
import type { Daemon } from '../daemon/daemon.ts'
import { remoteExtensionFor, remoteExtensions } from './forks.ts'
import { includesConfig, remoteFolder } from './target.ts'

/** Opens the repository of a box, else its home directory, in a window of its own by whichever Remote-SSH there is. */
export async function openFolder(daemon: Daemon, target: Target): Promise<void> {
  const box = await pickBox(daemon, target, 'Open Folder by Remote-SSH')
  if (!remoteExtensions(env.uriScheme).some((id) => extensions.getExtension(id))) await offerRemoteSsh()
  await introduceToSsh(daemon)
  const path = box.repo?.path ?? (await homeDirectory(daemon, box))
  await commands.executeCommand('vscode.openFolder', Uri.from(remoteFolder(box, path)), { forceNewWindow: true })
}

async function homeDirectory(daemon: Daemon, box: Parameters<typeof handleOf>[1]): Promise<string> {
  const { stdout } = await handleOf(daemon, box).run(['sh', '-c', 'printf %s "$HOME"'], { check: true })
  return stdout.startsWith('/') ? stdout : '/'
}

async function offerRemoteSsh(): Promise<never> {
  const id = remoteExtensionFor(env.uriScheme)
  const install = 'Show It'
  const picked = await window.showWarningMessage(
    `Folders of boxes are opened by the extension ${id}, or one like it.`,
    install,
  )
  if (picked === install) await commands.executeCommand('workbench.extensions.search', `@id:${id}`)
  throw givenUp()
}

/** Lets ssh know boxes, by one line in the config of the user, who is asked before that is written for the first time. */
async function introduceToSsh(daemon: Daemon): Promise<void> {
  const config = join(await homeOf(daemon), 'ssh/config')
  const own = await readFile(join(homedir(), '.ssh/config'), 'utf8').catch(() => '')
  if (!includesConfig(own, config)) {
    const detail = `One line at the beginning of ~/.ssh/config includes ${config}. \`gibil ssh-config --uninstall\` takes it out again.`
    const verb = 'Let ssh Know Boxes'
    const picked = await window.showInformationMessage(
      'ssh does not know your boxes yet.',
      { modal: true, detail },
      verb,
    )
    if (picked !== verb) throw new GibilError('cancelled', 'ssh does not know boxes.')
  }
  await runGibil(daemon, ['ssh-config', '--install'])
}
