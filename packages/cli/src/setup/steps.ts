import type { Colors } from '../context.ts'
import { formatMs } from '../output/progress.ts'

/** Shows named steps, one line each with its time, on a stream that is not data. */
export interface Steps {
  /** Runs one step; its text result, or what `describe` makes of it, ends the line. */
  run(name: string, work: (say: (text: string) => void) => Promise<string>): Promise<string>
  run<T>(name: string, work: (say: (text: string) => void) => Promise<T>, describe: (result: T) => string): Promise<T>
}

const nameWidth = 18

/** On a terminal the running step is rewritten in place; elsewhere each finished step is one plain line. */
export function createSteps(
  out: { write(text: string): unknown; isTTY?: boolean; columns?: number },
  colors: Colors,
): Steps {
  const live = out.isTTY === true
  const show = (mark: string, name: string, text: string): string => `  ${mark} ${name.padEnd(nameWidth)} ${text}`
  const rewrite = (line: string): void => {
    if (live) out.write(`\r\u001b[2K${line.slice(0, Math.max(20, (out.columns ?? 100) - 1))}`)
  }

  return {
    async run<T>(
      name: string,
      work: (say: (text: string) => void) => Promise<T>,
      describe: (result: T) => string = String,
    ) {
      const begin = performance.now()
      const say = (text: string): void => rewrite(show('…', name, text.replaceAll(/\s+/g, ' ')))
      say('')
      try {
        const result = await work(say)
        const time = formatMs(performance.now() - begin).padStart(8)
        if (live) out.write('\r\u001b[2K')
        out.write(`${show(colors.green('✓'), name, `${colors.dim(time)}  ${describe(result)}`)}\n`)
        return result
      } catch (error) {
        if (live) out.write('\r\u001b[2K')
        out.write(`${show(colors.red('✗'), name, 'failed')}\n`)
        throw error
      }
    },
  }
}
