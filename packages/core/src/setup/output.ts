import { failureLogLength } from '../box/failure.ts'
import type { SetupLog } from '../ports/setup-log.ts'

/** What set-up prints: kept in the log of the box, and the end of it in memory for the failure. */
export interface Output {
  write(stream: 'stdout' | 'stderr', data: Uint8Array): void
  text(text: string): void
  /** The end of what the current step printed. */
  tail(): string
  /** A new step begins: its tail is empty. */
  beginStep(title: string): void
  /** Resolves when all is in the log. */
  flush(): Promise<void>
}

/** What waits to be written at most; a box that prints faster than the disk takes it loses the middle. */
const maxPending = 1024 * 1024

/** `secrets` are replaced before anything is kept. */
export function createOutput(log: SetupLog, boxId: string, secrets: readonly string[] = []): Output {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() }
  const hidden = secrets.filter((secret) => secret.length >= 4)
  let pending = ''
  let dropped = 0
  let tail = ''
  let writing: Promise<void> | undefined

  const drain = async (): Promise<void> => {
    while (pending !== '' || dropped > 0) {
      const text = dropped > 0 ? `${pending}\n[${dropped} characters were not kept]\n` : pending
      pending = ''
      dropped = 0
      // A log that cannot be written does not hinder the set-up; its tail is kept in any case.
      await log.append(boxId, text).catch(() => undefined)
    }
  }
  const add = (raw: string): void => {
    const text = hidden.reduce((rest, secret) => rest.replaceAll(secret, '[hidden]'), raw)
    tail = (tail + text).slice(-failureLogLength)
    if (pending.length + text.length > maxPending) dropped += text.length
    else pending += text
    writing ??= drain().finally(() => {
      writing = undefined
    })
  }

  return {
    write: (stream, data) => add(decoders[stream].decode(data, { stream: true })),
    text: add,
    tail: () => tail,
    beginStep(title) {
      add(`── ${title}\n`)
      tail = ''
    },
    async flush() {
      while (writing) await writing
    },
  }
}
