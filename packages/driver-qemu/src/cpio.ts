/** Writes the archive that a kernel takes as its initial root file system (Documentation/driver-api/early-userspace/buffer-format of Linux). */

export interface CpioEntry {
  readonly name: string
  /** File type and permissions, as in stat(2). */
  readonly mode: number
  readonly data?: Uint8Array
  /** Of a device node. */
  readonly device?: { readonly major: number; readonly minor: number }
}

const trailer: CpioEntry = { name: 'TRAILER!!!', mode: 0 }

export function cpio(entries: readonly CpioEntry[]): Buffer {
  return Buffer.concat([...entries, trailer].flatMap((entry, index) => encode(entry, index + 1)))
}

function encode({ name, mode, data = new Uint8Array(), device }: CpioEntry, inode: number): Uint8Array[] {
  const path = Buffer.from(`${name}\0`)
  const numbers = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, device?.major ?? 0, device?.minor ?? 0, path.length, 0]
  const head = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`
  const named = Buffer.concat([Buffer.from(head), path])
  return [named, padding(named.length), data, padding(data.length)]
}

const padding = (length: number): Uint8Array => new Uint8Array((4 - (length % 4)) % 4)
