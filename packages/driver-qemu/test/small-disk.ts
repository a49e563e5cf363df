import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sh } from '../../driver-container/test/rig.ts'

/** A file system of its own, which is taken away with what is on it when it is disposed of. */
export interface SmallDisk extends AsyncDisposable {
  /** Leaves so much room and no more. */
  leave(kib: number): Promise<void>
  freeKib(): Promise<number>
  /** Gives all the room back. */
  widen(): Promise<void>
}

/** Moves a directory onto one of 1 GiB, in the same place. Nothing may have it open. Not tmpfs: there a hole that is read takes room too. */
export async function onSmallDisk(path: string): Promise<SmallDisk> {
  const work = await mkdtemp(join(tmpdir(), 'gibil-small-disk-'))
  const [image, mount, filler] = [join(work, 'image'), join(work, 'mount'), join(work, 'mount/filler')]
  const freeKib = async (): Promise<number> => Number(await sh(`df -k --output=avail ${mount} | tail -1`))
  await sh(`
    mke2fs -q -t ext4 -m 0 ${image} 1G; mkdir ${mount}; mount -o loop ${image} ${mount}
    cp -a ${path} ${mount}/kept; find ${path} -mindepth 1 -delete; mount --bind ${mount}/kept ${path}`)
  return {
    freeKib,
    leave: async (kib) =>
      void (await sh(`fallocate -l $(( $(df -k --output=avail ${mount} | tail -1) - ${kib} ))K ${filler}`)),
    widen: () => rm(filler),
    async [Symbol.asyncDispose]() {
      // Lazily, for when a test fails while a machine has it open: what failed is to be told, and the machine ends later.
      await sh(`umount --lazy ${path}; umount --lazy ${mount}`)
      await rm(work, { recursive: true })
    },
  }
}
