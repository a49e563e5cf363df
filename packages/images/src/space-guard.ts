import { statfs } from 'node:fs/promises'
import { GibilError } from '@gibil/contract'

const everyMs = 500

/** Bytes that an unprivileged writer could still use on the file system of a path. */
const freeBytes = async (path: string): Promise<number> => {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}

/**
 * Runs work that writes below `path` with a signal that is aborted, with `disk_full`, when less than `reserve` bytes are left there: no
 * image, however hostile, fills the host.
 */
export const withSpaceGuard = async <T>(
  options: { path: string; reserve: number; signal?: AbortSignal | undefined },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const full = new AbortController()
  const look = async () => {
    const free = await freeBytes(options.path)
    if (free >= options.reserve) return
    const mib = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`
    full.abort(
      new GibilError(
        'disk_full',
        `Only ${mib(free)} are left where images are kept; ${mib(options.reserve)} are kept free.`,
        {
          hint: 'Remove images by `gibil image rm`, or free space on the host.',
        },
      ),
    )
  }
  await look()
  // A look that fails (the folder went away) is told by the work itself.
  const timer = setInterval(() => void look().catch(() => undefined), everyMs)
  try {
    const signal = options.signal ? AbortSignal.any([options.signal, full.signal]) : full.signal
    const result = await work(signal)
    return result
  } finally {
    clearInterval(timer)
  }
}
