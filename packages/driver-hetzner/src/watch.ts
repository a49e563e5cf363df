import type { Log } from '@gibil/host'
import type { Client } from './client/client.ts'
import { labelNames } from './labels.ts'
import { statusOf } from './survey.ts'

export interface Watching {
  readonly client: Client
  readonly home: string
  readonly log: Log
  /** A box that ran does not any more: it was switched off, from inside or in the console, or removed there. */
  readonly ended: (id: string) => void
}

/** 240 requests in an hour, of 3600. */
const everyMs = 15_000

/** Looks every 15 s which servers of this home run. Nobody tells that a server has ended. Returns what ends the looking. */
export function watchEnds({ client, home, log, ended }: Watching): () => void {
  let running = new Set<string>()
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  const lookOnce = async (): Promise<void> => {
    const servers = await client.list('servers', { label_selector: `${labelNames.home}=${home}` }, { patienceMs: 0 })
    const now = new Set(
      servers
        .filter((server) => statusOf(server) === 'running')
        .flatMap(({ labels }) => labels[labelNames.boxId] ?? []),
    )
    const gone = [...running].filter((id) => !now.has(id))
    running = now
    if (!stopped) for (const id of gone) ended(id)
  }
  const next = (): void => {
    timer = setTimeout(() => {
      lookOnce()
        .catch((error) => log('debug', 'the servers could not be looked at', { error: String(error) }))
        .finally(() => {
          if (!stopped) next()
        })
    }, everyMs)
    timer.unref()
  }
  next()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
