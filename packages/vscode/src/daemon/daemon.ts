import { type Endpoint, Gibil } from '@gibil/sdk'
import { commands, type Disposable, type Event, EventEmitter, type ExtensionContext, workspace } from 'vscode'
import { connectOptions } from './settings.ts'
import { type Seen, type Watch, watchBoxes } from './watch.ts'

/** The daemon that the settings mean, whichever that is now. */
export interface Daemon extends Disposable {
  readonly gibil: Gibil
  readonly seen: Seen
  readonly onChange: Event<Seen>
  endpoint(): Promise<Endpoint>
  refresh(): Promise<void>
}

export async function openDaemon({ secrets }: Pick<ExtensionContext, 'secrets'>): Promise<Daemon> {
  const changed = new EventEmitter<Seen>()
  const onChange = (seen: Seen): void => {
    // Menus and the texts of empty views ask for it.
    void commands.executeCommand('setContext', 'gibil.state', seen.state)
    changed.fire(seen)
  }
  let gibil: Gibil
  let watch: Watch
  const connect = async (): Promise<void> => {
    gibil = Gibil.connect(await connectOptions(secrets))
    watch = watchBoxes(gibil, { onChange })
  }
  const disconnect = (): void => {
    watch.stop()
    gibil.close()
  }
  await connect()
  const again = (): void => {
    disconnect()
    void connect()
  }
  const listeners = [
    secrets.onDidChange(again),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration('gibil.home') || change.affectsConfiguration('gibil.url')) again()
    }),
  ]
  return {
    get gibil() {
      return gibil
    },
    get seen() {
      return watch.seen
    },
    onChange: changed.event,
    endpoint: () => gibil.endpoint(),
    refresh: () => watch.refresh(),
    dispose() {
      for (const listener of [...listeners, changed]) listener.dispose()
      disconnect()
    },
  }
}
