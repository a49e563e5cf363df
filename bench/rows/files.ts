import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { mustRun } from '../process.ts'
import { createSamples, pick, rounds, timed } from './measure.ts'
import type { Bench, Measured } from './row.ts'

const repeats = 3
const inBox = '/home/agent/bench'
/** As much at once as a careful program reads and writes, on both ways. */
const pieces = { highWaterMark: 1 << 20 }

/** One large file and a tree of small ones, into a box and back, against `docker cp`. */
export async function fileTransfer({ gibil, docker, sizes, say }: Bench): Promise<Measured> {
  const { fileMib, smallFiles } = sizes
  const local = await mkdtemp(join(tmpdir(), 'bench-files-'))
  const large = join(local, 'large')
  const tree = join(local, 'tree')
  const back = join(local, 'back')
  const samples = createSamples()
  const box = await gibil.createBox()
  const peer = await docker?.create()
  try {
    await writeLarge(large, fileMib)
    await writeTree(tree, smallFiles)
    await mkdir(back)
    await box.run(`mkdir -p ${inBox}`, { check: true })
    await peer?.run(`mkdir -p ${inBox}`)
    const cp = (from: string, to: string): Promise<string> =>
      mustRun(['docker', 'cp', from, to], { env: docker?.daemon.env ?? process.env })

    // Each trip has directories of its own, and only the large file is removed before the end: ext4 does not give out inodes that were freed in
    // the last minutes and looks at each of them before, which makes new files ten times as slow for whoever comes next.
    let trip = ''
    const ways: Record<string, Record<string, () => Promise<unknown>>> = {
      gibil: {
        'large up': () => box.files.write(`${inBox}/large`, createReadStream(large, pieces)),
        'large down': async () =>
          pipeline(await box.files.stream(`${inBox}/large`), createWriteStream(join(back, 'large'), pieces)),
        'small up': () => box.files.upload(tree, `${inBox}/${trip}`),
        'small down': () => box.files.download(`${inBox}/${trip}`, join(back, trip)),
        clear: () => box.run(`rm ${inBox}/large`, { check: true }),
      },
      ...(peer
        ? {
            docker: {
              'large up': () => cp(large, `${peer.id}:${inBox}/large`),
              'large down': () => cp(`${peer.id}:${inBox}/large`, join(back, 'large')),
              'small up': () => cp(tree, `${peer.id}:${inBox}/${trip}`),
              'small down': () => cp(`${peer.id}:${inBox}/${trip}`, join(back, trip)),
              clear: () =>
                mustRun(['docker', 'exec', '--user', 'root', peer.id, 'sh', '-c', `rm ${inBox}/large`], {
                  env: docker?.daemon.env ?? {},
                }),
            },
          }
        : {}),
    }
    for (const { round, order } of rounds(repeats, Object.entries(ways))) {
      for (const [name, way] of order) {
        say(`files: round ${round + 1} of ${repeats}, ${name}`)
        trip = `tree-${name}-${round}`
        for (const kind of ['large up', 'large down', 'small up', 'small down'] as const) {
          const { ms } = await timed(way[kind] ?? (async () => undefined))
          samples.note(`${kind} ${name}`, ms)
        }
        await checkCame(join(back, 'large'), fileMib, join(back, trip), smallFiles)
        await way['clear']?.()
        await rm(join(back, 'large'))
      }
    }
  } finally {
    await Promise.all([box.destroy(), peer?.destroy(), rm(local, { recursive: true, force: true })])
  }
  const medians = samples.medians()
  const middle = (kind: string): Record<string, number> =>
    pick(medians, { gibil: `${kind} gibil`, docker: `${kind} docker` })
  const rate = (kind: string): Record<string, number> =>
    Object.fromEntries(Object.entries(middle(kind)).map(([name, ms]) => [name, fileMib / (ms / 1000)]))
  return {
    rows: [
      { name: `upload of ${fileMib} MiB`, unit: 'MiB/s', values: rate('large up') },
      { name: `download of ${fileMib} MiB`, unit: 'MiB/s', values: rate('large down') },
      { name: `upload of ${smallFiles} small files`, unit: 'ms', values: middle('small up') },
      { name: `download of ${smallFiles} small files`, unit: 'ms', values: middle('small down') },
    ],
    details: { samples: samples.all() },
  }
}

/** What came back is all there. */
async function checkCame(large: string, fileMib: number, tree: string, smallFiles: number): Promise<void> {
  const { size } = await stat(large)
  const files = Number(await mustRun(['sh', '-c', 'find "$0" -type f | wc -l', tree]))
  if (size !== fileMib * 1024 ** 2 || files !== smallFiles) {
    throw new Error(`${size} bytes and ${files} files came back, not ${fileMib} MiB and ${smallFiles}.`)
  }
}

async function writeLarge(path: string, mib: number): Promise<void> {
  const file = await open(path, 'w')
  try {
    const piece = Buffer.alloc(1 << 20)
    for (let at = 0; at < piece.length; at += 4) piece.writeUInt32LE((at * 2654435761) >>> 0, at)
    for (let index = 0; index < mib; index += 1) await file.write(piece)
  } finally {
    await file.close()
  }
}

async function writeTree(path: string, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const directory = join(path, `d${Math.floor(index / 100)}`)
    if (index % 100 === 0) await mkdir(directory, { recursive: true })
    await writeFile(join(directory, `f${index}.txt`), `file ${index}\n`.repeat(50))
  }
}
