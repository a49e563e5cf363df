import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'

/**
 * A log file that is never longer than `maxBytes`: at that length it becomes `<path>.1`, of which one is kept. Writes are
 * synchronous, so that the last words before a crash are there. A write that fails (a full disk) is dropped.
 */
export function openRotatingFile(path: string, maxBytes: number): { write(line: string): void; close(): void } {
  const open = (): number => openSync(path, 'a', 0o600)
  let fd = open()
  let length = fstatSync(fd).size

  const rotate = (): void => {
    closeSync(fd)
    renameSync(path, `${path}.1`)
    fd = open()
    length = 0
  }

  return {
    write(line) {
      const bytes = Buffer.from(line)
      try {
        if (length > 0 && length + bytes.length > maxBytes) rotate()
        length += writeSync(fd, bytes)
      } catch {
        // There is nowhere left to say it.
      }
    },
    close: () => closeSync(fd),
  }
}
