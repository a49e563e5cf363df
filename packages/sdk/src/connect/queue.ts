/** A queue between something that pushes and one async iteration; it says when it is too full and when it has drained. */
export interface Queue<T> {
  /** The one iteration; every call gives the same. */
  iterate(): AsyncGenerator<T>
  push(item: T, weight: number): void
  /** What is queued is still given, then the iteration ends or throws. */
  end(error?: unknown): void
}

export interface QueueLimits {
  /** Total weight from which on `onFull` is called once, until it falls below half and `onDrained` is called. */
  readonly limit: number
  readonly onFull: () => void
  readonly onDrained: () => void
  /** The consumer left before the end. */
  readonly onReturn?: () => void
}

export function createQueue<T>({ limit, onFull, onDrained, onReturn }: QueueLimits): Queue<T> {
  const items: { readonly item: T; readonly weight: number }[] = []
  let weight = 0
  let full = false
  let ended = false
  let failure: { readonly error: unknown } | undefined
  let wake: (() => void) | undefined

  async function* generate(): AsyncGenerator<T> {
    try {
      for (;;) {
        const next = items.shift()
        if (next) {
          weight -= next.weight
          if (full && weight < limit / 2) {
            full = false
            onDrained()
          }
          yield next.item
        } else if (ended) {
          if (failure) throw failure.error
          return
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    } finally {
      if (!ended) onReturn?.()
    }
  }

  const iterator = generate()
  return {
    push(item, itemWeight) {
      if (ended) return
      items.push({ item, weight: itemWeight })
      weight += itemWeight
      if (!full && weight >= limit) {
        full = true
        onFull()
      }
      wake?.()
    },
    end(error) {
      if (ended) return
      ended = true
      if (error !== undefined) failure = { error }
      wake?.()
    },
    iterate: () => iterator,
  }
}
