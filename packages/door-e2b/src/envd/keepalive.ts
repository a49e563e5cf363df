/** Seconds between two signs of life of a stream when the client names none. */
const defaultSeconds = 90

export function keepaliveMs(headers: Headers): number {
  const seconds = Number(headers.get('keepalive-ping-interval'))
  return (Number.isFinite(seconds) && seconds >= 1 ? Math.min(seconds, 3600) : defaultSeconds) * 1000
}

/** Gives what a source gives, and a sign of life whenever that gives nothing for so long. Leaving ends the source. */
export async function* withKeepalive<T>(source: AsyncIterable<T>, ms: number, sign: () => T): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  let next = iterator.next()
  try {
    for (;;) {
      const result = await orSilence(next, ms)
      if (result === 'silence') {
        yield sign()
        continue
      }
      if (result.done) return
      yield result.value
      next = iterator.next()
    }
  } finally {
    // Nobody takes what is still to come, a failure neither.
    next.catch(() => undefined)
    void iterator.return?.().then(undefined, () => undefined)
  }
}

function orSilence<T>(next: Promise<T>, ms: number): Promise<T | 'silence'> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve('silence'), ms)
    next.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
