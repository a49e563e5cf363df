import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { open, readdir, readFile, rename, rm } from 'node:fs/promises'

/** The errno name of a thrown value, such as ENOENT. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Undefined when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

/**
 * The same, at once, for what needs no disk: small files of the kernel and those that were just written. It takes a tenth of the time and of
 * the work, since the other way goes to a pool of threads five times for one file.
 */
export function readNow(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

/** Directories in a directory of the kernel; none when there is no such directory. */
export function directoriesIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

/** A file in /proc of a process that is just ending answers ESRCH, one of a cgroup ENODEV. */
const isGone = (error: unknown): boolean => ['ENOENT', 'ENOTDIR', 'ESRCH', 'ENODEV'].includes(errnoOf(error) ?? '')

/** Names in a directory; none when there is no such directory. */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENODEV'].includes(errnoOf(error) ?? '')) return []
    throw error
  }
}

/**
 * Replaces a file whole: whoever reads it finds the old text or the new one. `durable`: also after a power cut; costs a flush
 * of the disk. Else it is written at once: four short calls to the kernel, each of which would cost more to wait for.
 */
export async function writeWhole(
  path: string,
  content: string | Uint8Array,
  options: { durable: boolean },
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  if (!options.durable) return writeNow(temporary, path, content)
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(content)
      await handle.datasync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

function writeNow(temporary: string, path: string, content: string | Uint8Array): void {
  try {
    writeFileSync(temporary, content, { flag: 'wx', mode: 0o600 })
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** Undefined for a text that is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
