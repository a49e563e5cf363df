import { chmod, lchown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Whoever made a tree, and with which umask: in an image all is root's, and readable by everyone. */
export const ownByRoot = async (path: string): Promise<void> => {
  await lchown(path, 0, 0)
  await chmod(path, 0o755)
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name)
    if (entry.isDirectory()) await ownByRoot(child)
    else await lchown(child, 0, 0)
    if (entry.isFile()) await chmod(child, ((await lstat(child)).mode & 0o100) === 0 ? 0o644 : 0o755)
  }
}
