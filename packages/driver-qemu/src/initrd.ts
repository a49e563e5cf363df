import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { writeWhole } from '@gibil/host'
import { type CpioEntry, cpio } from './cpio.ts'
import type { GuestKernel } from './guest-kernel.ts'

/** What a machine boots: the kernel, and an initial root file system with boxd as its only program. */
export interface Guest {
  readonly kernel: string
  readonly initrd: string
  /** All modules of the kernel, as the second disk: read-only, the same file for all machines. */
  readonly moduleDisk: string
  /** Changes with whatever changes what boots. */
  readonly id: string
}

const directory = 0o40755
const file = 0o100644
const program = 0o100755
const consoleNode = 0o20600

/** Makes the initial root file system once for each kernel and boxd. boxd sets up the rest: boxd/internal/guest. */
export async function provideGuest(cacheDir: string, kernel: GuestKernel, boxdBinary: string): Promise<Guest> {
  const boxd = await readFile(boxdBinary)
  const id = createHash('sha256').update(kernel.version).update('\0').update(boxd).digest('hex').slice(0, 16)
  const initrd = join(cacheDir, 'initrd', `${id}.cpio`)
  if (!existsSync(initrd)) {
    await mkdir(join(cacheDir, 'initrd'), { recursive: true, mode: 0o700 })
    const modules = await Promise.all(
      kernel.modules.map(async (path, index): Promise<CpioEntry> => {
        const name = `modules/${String(index).padStart(2, '0')}-${basename(path)}`
        return { name, mode: file, data: await readFile(path) }
      }),
    )
    const archive = cpio([
      { name: 'dev', mode: directory },
      // What the kernel opens for the first program's output.
      { name: 'dev/console', mode: consoleNode, device: { major: 5, minor: 1 } },
      { name: 'modules', mode: directory },
      { name: 'init', mode: program, data: boxd },
      ...modules,
    ])
    await writeWhole(initrd, archive, { durable: false })
  }
  return { kernel: kernel.image, initrd, moduleDisk: kernel.moduleDisk, id }
}
