import { formatDuration, type Progress } from '@gibil/sdk'
import type { Colors } from '../context.ts'
import { clean } from './text.ts'

export interface ProgressLine {
  readonly onProgress: (progress: Progress) => void
  /** Clears what is left of a live line. */
  end(): void
}

interface Shown {
  readonly stderr: { write(text: string): unknown; isTTY?: boolean; columns?: number }
  readonly colors: Colors
}

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const frameMs = 100

/**
 * Shows how far a long call has come: on a terminal a line that is rewritten, elsewhere a plain line for each phase. A
 * phase that has ended gets its time. A notice stays, and is told once: each box of a fleet has it.
 */
export function createProgress({ stderr, colors }: Shown, title: string): ProgressLine {
  const live = stderr.isTTY === true
  const begin = performance.now()
  let current = ''
  let frame = 0
  let ended = false
  let timer: NodeJS.Timeout | undefined
  const noticed = new Set<string>()

  const notice = (message: string): void => {
    if (noticed.has(message)) return
    noticed.add(message)
    stderr.write(`${live ? '\r\u001b[2K' : ''}  ${colors.yellow('!')} ${message}\n`)
  }
  const draw = (): void => {
    const spent = formatDuration(performance.now() - begin)
    const line = `${frames[frame % frames.length]} ${title} ${current}`.slice(
      0,
      Math.max(20, (stderr.columns ?? 80) - 12),
    )
    stderr.write(`\r\u001b[2K${line} ${colors.dim(spent)}`)
    frame += 1
  }
  if (live) {
    timer = setInterval(draw, frameMs)
    timer.unref()
  }

  return {
    onProgress({ phase, message, ms, notice: isNotice }) {
      if (isNotice && message !== undefined) return notice(clean(message))
      const text = clean(message === undefined ? phase : `${phase}: ${message}`)
      current = text
      if (live && ms === undefined) return draw()
      if (live) stderr.write('\r\u001b[2K')
      stderr.write(ms === undefined ? `  ${text}\n` : `  ${colors.green('✓')} ${text} ${colors.dim(formatMs(ms))}\n`)
    },
    end() {
      clearInterval(timer)
      if (live && !ended) stderr.write('\r\u001b[2K')
      ended = true
    },
  }
}

/** Short times with their fractions, which a duration would round away. */
export const formatMs = (ms: number): string =>
  ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : formatDuration(ms)
