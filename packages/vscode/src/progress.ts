import type { LongCallOptions } from '@gibil/sdk'
import { ProgressLocation, window } from 'vscode'
import { plain } from './labels/plain.ts'

/** Work that takes its time, as a notification that says how far it is and can be given up. */
export async function withProgress<T>(title: string, work: (options: LongCallOptions) => Promise<T>): Promise<T> {
  return window.withProgress(
    { location: ProgressLocation.Notification, title, cancellable: true },
    async (progress, token) => {
      const abort = new AbortController()
      token.onCancellationRequested(() => abort.abort())
      return work({
        signal: abort.signal,
        onProgress: ({ phase, message }) => progress.report({ message: plain(message || phase) }),
      })
    },
  )
}
