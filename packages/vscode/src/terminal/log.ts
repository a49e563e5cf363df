import { type BoxHandle, GibilError } from '@gibil/sdk'
import { EventEmitter, type Pseudoterminal } from 'vscode'

/** What the set-up of a box prints, from its beginning on and as it comes. */
export function setupLog(box: BoxHandle): Pseudoterminal {
  const written = new EventEmitter<string>()
  const abort = new AbortController()
  async function follow(): Promise<void> {
    for await (const { text } of box.followLog({ offset: 0, signal: abort.signal })) {
      written.fire(text.replaceAll(/\r?\n/g, '\r\n'))
    }
    written.fire('\r\n\x1b[2mset-up is over\x1b[0m\r\n')
  }
  return {
    onDidWrite: written.event,
    open() {
      follow().catch((error: unknown) => {
        if (!abort.signal.aborted) written.fire(`\r\n${GibilError.from(error).message}\r\n`)
      })
    },
    close: () => abort.abort(),
  }
}
