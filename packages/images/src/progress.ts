import type { Progress } from '@gibil/contract'

export interface OperationOptions {
  readonly signal?: AbortSignal | undefined
  /** Called as each phase begins (no `ms`) and ends (with `ms`), and for lines of output between. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/** Times a phase and tells of its begin and end. */
export const inPhase = async <T>(
  options: OperationOptions,
  phase: string,
  message: string | undefined,
  work: () => Promise<T>,
): Promise<T> => {
  const started = performance.now()
  options.onProgress?.({ phase, ...(message === undefined ? {} : { message }) })
  const result = await work()
  options.onProgress?.({ phase, ms: Math.round(performance.now() - started) })
  return result
}
