import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Progress } from '@gibil/contract'
import { mustRun } from '../process.ts'
import { createSamples, pick, timed } from './measure.ts'
import type { Bench, Measured } from './row.ts'

/** What the box holds beside its image: a gigabyte that nothing can make smaller. */
const dataMib = 1024
const diskMib = 8192
const machine = { shape: 'microvm', cpu: 2, memoryMib: 1024, diskMib } as const

/** A container of a gigabyte that becomes a microvm, beside a bare `tar | tar` of the same tree to a new ext4. */
export async function moves({ gibil, floor, sizes, say }: Bench): Promise<Measured> {
  const samples = createSamples()
  const { note } = samples
  const home = await mkdtemp(join(gibil.home, 'move-'))
  const data = join(home, 'data')
  await mustRun(['dd', 'if=/dev/urandom', `of=${data}`, 'bs=1M', `count=${dataMib}`, 'status=none'])
  await writeFile(join(home, 'copy.sh'), copy)
  try {
    say(`move: ${sizes.moves} times`)
    for (let round = 0; round < sizes.moves; round += 1) {
      note('floor', (await timed(() => mustRun(['sh', join(home, 'copy.sh'), home, floor.rootfs, `${diskMib}M`]))).ms)
      const box = await gibil.sdk.create({ shape: 'container', diskMib, ttl: '2h' })
      await box.run(`dd if=/dev/urandom of=data bs=1M count=${dataMib} status=none && sync`, { check: true })
      const onProgress = ({ phase, ms }: Progress): void => {
        if (ms !== undefined) note(`phase ${phase}`, ms)
      }
      const { ms, result } = await timed(() => box.move(machine, { onProgress }))
      note('move', ms)
      note('silent', result.silentMs)
      await box.run(`test "$(stat -c %s data)" = ${dataMib * 1024 ** 2}`, { check: true })
      await box.destroy()
    }
  } finally {
    await rm(home, { recursive: true, force: true })
  }
  const middle = samples.medians()
  return {
    rows: [
      {
        name: 'move: a container of 1 GiB beside its image becomes a microvm (floor: tar | tar to an ext4; aim: 10,000)',
        unit: 'ms',
        values: pick(middle, { gibil: 'move', floor: 'floor' }),
      },
      { name: 'move: the box answers nobody', unit: 'ms', values: pick(middle, { gibil: 'silent' }) },
    ],
    details: { medians: middle, samples: samples.all() },
  }
}

/** $1: a directory with the data, $2: the root file system, $3: the size of the disk. Ends when all is on the host's disk. */
const copy = `set -e
cd "$1"
mkdir mnt
truncate -s "$3" disk
mke2fs -q -t ext4 -F -i 8192 -E lazy_itable_init=1,lazy_journal_init=1,nodiscard disk
mount -o loop,noatime,noinit_itable disk mnt
trap 'umount mnt; rm -rf mnt disk' EXIT
tar -C "$2" --one-file-system --xattrs -c . | tar -C mnt --xattrs -x --numeric-owner
tar -c data | tar -C mnt -x
sync -f mnt
`
