import { createHash } from 'node:crypto'
import { type BoxManifest, GibilError, TreeReport } from '@gibil/contract'
import { parseJson } from '../files.ts'
import { reportKey } from '../save-tree.ts'
import { toText } from '../tar-format.ts'
import { readTar, TarError } from '../tar-read.ts'
import { tarEnd } from '../tar-write.ts'
import { encodeManifest, encodeTrailer, maxManifestBytes } from './frame.ts'

export interface Written {
  readonly bytes: number
  readonly sha256: string
  readonly report: TreeReport
}

/**
 * The bytes of the file of a box, from its manifest and its tree. `onWhole` is called before the last of them. A tree that is not a whole one gets no
 * checksum: throws `boxd_protocol`, or what the stream fails by.
 */
export async function* writeBoxFile(
  manifest: BoxManifest,
  tree: AsyncIterable<Uint8Array>,
  onWhole: (written: Written) => void,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let bytes = 0
  const counted = (part: Uint8Array): Uint8Array => {
    hash.update(part)
    bytes += part.length
    return part
  }
  const text = JSON.stringify(manifest)
  if (Buffer.byteLength(text) > maxManifestBytes) {
    throw new GibilError('limit_reached', `What is to be said of the box "${manifest.name}" is longer than 1 MiB.`, {
      hint: 'Its environment or its .gibil.yml is too long for a file.',
    })
  }
  yield counted(encodeManifest(text))
  let report: TreeReport | undefined
  const body = wholeTree(tree, (told) => {
    report = told
  })
  for await (const part of withoutEnd(body)) yield counted(part)
  if (!report) throw broken('it has no report at its end')
  const sha256 = hash.digest('hex')
  onWhole({ bytes, sha256, report })
  yield encodeTrailer(sha256, bytes)
}

const broken = (why: string, cause?: unknown): GibilError =>
  new GibilError('boxd_protocol', `The files of the box could not be read: ${why}.`, {
    cause,
    hint: 'Try again; the box is as it was.',
  })

/** The same bytes, read on the way as an archive: one that is cut off must not look whole. */
async function* wholeTree(
  tree: AsyncIterable<Uint8Array>,
  onReport: (report: TreeReport) => void,
): AsyncGenerator<Uint8Array> {
  const passed: Uint8Array[] = []
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of tree) {
      passed.push(chunk)
      yield chunk
    }
  }
  const onGlobal = (key: string, value: Buffer): void => {
    const report = key === reportKey ? TreeReport.safeParse(parseJson(toText(value.toString('latin1')))) : undefined
    if (report?.data) onReport(report.data)
  }
  try {
    for await (const entry of readTar(source(), true, onGlobal)) {
      yield* passed.splice(0)
      for await (const _ of entry.body) yield* passed.splice(0)
    }
  } catch (error) {
    if (error instanceof TarError) throw broken(error.message, error)
    throw error
  }
  yield* passed
}

/** An archive of which something is still to come. */
async function* withoutEnd(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held = Buffer.alloc(0)
  for await (const chunk of archive) {
    const all = Buffer.concat([held, chunk])
    const cut = Math.max(0, all.length - tarEnd.length)
    if (cut > 0) yield all.subarray(0, cut)
    held = all.subarray(cut)
  }
  if (!held.equals(tarEnd)) throw broken('it does not end as it should')
}
