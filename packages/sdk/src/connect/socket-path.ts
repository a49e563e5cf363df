import { closeSync, constants, openSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { basename, dirname } from 'node:path'

/** Bytes that fit in sockaddr_un before its closing NUL (unix(7)). */
const maxPathBytes = 107

/**
 * Connects to a unix socket whose path may be longer than the kernel takes: then through /proc/self/fd of its directory,
 * which is short whatever the directory is called.
 */
export function connectUnix(path: string): Socket {
  if (Buffer.byteLength(path) <= maxPathBytes) return connect({ path })
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    // libuv calls connect(2) before this returns, so the descriptor is no longer needed afterwards.
    return connect({ path: `/proc/self/fd/${directory}/${basename(path)}` })
  } finally {
    closeSync(directory)
  }
}
