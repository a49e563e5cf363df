import type { FileEntry } from '@computesdk/provider'
import type { BoxHandle, FileInfo } from '@gibil/sdk'

const entryOf = ({ name, kind, size, modifiedAt }: FileInfo): FileEntry => ({
  name,
  type: kind === 'directory' ? 'directory' : 'file',
  size,
  modified: new Date(modifiedAt),
})

/** Files by boxd, not by commands: any name, any content, and a write is whole or not there. */
export const filesystem = {
  readFile: (box: BoxHandle, path: string): Promise<string> => box.files.text(path),
  writeFile: async (box: BoxHandle, path: string, content: string): Promise<void> => {
    await box.files.write(path, content)
  },
  mkdir: (box: BoxHandle, path: string): Promise<void> => box.files.mkdir(path),
  readdir: async (box: BoxHandle, path: string): Promise<FileEntry[]> => (await box.files.list(path)).map(entryOf),
  exists: (box: BoxHandle, path: string): Promise<boolean> => box.files.exists(path),
  remove: (box: BoxHandle, path: string): Promise<void> => box.files.remove(path, { recursive: true }),
}
