import { commands, type ExtensionContext, type LogOutputChannel } from 'vscode'
import type { Daemon } from '../daemon/daemon.ts'
import { openFolder } from '../remote/open-folder.ts'
import { report } from '../report.ts'
import type { SnapshotNode } from '../tree/snapshots.ts'
import { createBox } from './create.ts'
import type { Target } from './pick.ts'
import { copyName, openSettings, setToken, startDaemon } from './place.ts'
import {
  askForTime,
  change,
  destroyBox,
  extendBox,
  fork,
  removeSnapshot,
  restoreSnapshot,
  takeSnapshot,
} from './states.ts'
import { copyPort, openPort, openTerminal, publishPort, runCommand, showSetupLog, unpublishPort } from './use.ts'

type Command = (daemon: Daemon, target: Target & SnapshotNode) => unknown

/** Runs one of the commands, and reports what goes wrong. */
export type Run = (name: string, target?: Target) => Promise<void>

/** Makes `gibil.<name>` of each; `askForTime` alone is not for people to call. */
export function registerCommands(context: ExtensionContext, daemon: Daemon, log: LogOutputChannel): Run {
  const all: Readonly<Record<string, Command>> = {
    create: createBox,
    refresh: () => daemon.refresh(),
    startDaemon,
    openSettings,
    setToken: () => setToken(context),
    showOutput: () => log.show(),
    run: (_, target) => runCommand(daemon, target, context.workspaceState),
    terminal: openTerminal,
    openFolder,
    publish: publishPort,
    openPort,
    copyPort,
    unpublish: unpublishPort,
    extend: extendBox,
    setupLog: showSetupLog,
    pause: change('Pause', 'Pausing', (box, options) => box.pause(options)),
    resume: change('Resume', 'Resuming', (box, options) => box.resume(options)),
    stop: change('Stop', 'Stopping', (box, options) => box.stop(options)),
    start: change('Start', 'Starting', (box, options) => box.start(options)),
    snapshot: takeSnapshot,
    restore: restoreSnapshot,
    fork,
    removeSnapshot,
    copyName,
    destroy: destroyBox,
  }
  const attempt = async (command: Command, target: Target): Promise<void> => {
    try {
      await command(daemon, target as Target & SnapshotNode)
    } catch (error) {
      await report(log, error)
    }
  }
  for (const [name, command] of Object.entries(all)) {
    const registered = commands.registerCommand(`gibil.${name}`, (target: Target) => attempt(command, target))
    context.subscriptions.push(registered)
  }
  return (name, target) => attempt(name === 'askForTime' ? askForTime : (all[name] ?? (() => undefined)), target)
}
