import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createZstdCompress } from 'node:zlib'
import {
  type Arch,
  Box,
  type BoxManifest,
  boxFileVersion,
  DurationInput,
  type Exported,
  GibilError,
  ImportBox,
  OnExpire,
  Shape,
  SizePreset,
} from '@gibil/contract'
import { openBoxFile, writeBoxFile } from '@gibil/images'
import * as z from 'zod'
import { uploadOf } from '../http/body.ts'
import { json, type Route, route, stream, written } from '../http/route.ts'
import { checked } from '../http/validate.ts'
import { version } from '../version.ts'
import { flag, keyValues } from './query.ts'

const tag = 'boxes'
const type = 'application/vnd.gibil.box'
/** A header after the body, which is there only when that is whole: an `Exported` as JSON in base64. */
const trailer = 'gibil-exported'
/** The box stands still for as long: a client that takes nothing for this time has gone. */
const unreadMs = 300_000
/** What changed without end is named in a header, which must be short. */
const mostNamed = 20
const longestName = 200

const hereArch: Arch = process.arch === 'arm64' ? 'arm' : 'x86'

export const boxFileRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/boxes/{box}/export',
    id: 'exportBox',
    tag,
    summary: 'A box as one file',
    description:
      'Its root filesystem, what it is, and a checksum. The box stands still while it is read, and goes on. The trailer `gibil-exported` comes with a whole ' +
      'file alone: an Exported as JSON in base64.',
    query: z.strictObject({
      env: flag.optional().describe('with the values of its environment, which may be secrets'),
      plain: flag.optional().describe('not compressed by zstd: a tar archive'),
    }),
    answer: stream(type, 'See docs/moving.md for its form.'),
    errors: ['box_not_found', 'wrong_state'],
    handle: async ({ param, query, response, signal }, { plane }) => {
      const options = { signal, env: query.env === true }
      await plane.exportBox(
        param('box'),
        async ({ arch, ...facts }, tree) => {
          const manifest: BoxManifest = {
            format: 'gibil-box',
            version: boxFileVersion,
            gibil: version,
            ...facts,
            arch: arch ?? hereArch,
          }
          await send(manifest, tree, response, query.plain === true)
        },
        options,
      )
      return written
    },
  }),
  route({
    method: 'post',
    path: '/import',
    id: 'importBox',
    tag,
    summary: 'Make a box of the file of one',
    description:
      'The body is what an export has answered, from any machine. All but the files is checked before they are read, and the checksum before a box is made. What ' +
      'is named in the query counts instead of what the file says.',
    query: z.strictObject({
      name: z.string().optional(),
      shape: Shape.optional(),
      size: SizePreset.optional(),
      cpu: z.coerce.number().positive().optional(),
      memoryMib: z.coerce.number().int().positive().optional(),
      diskMib: z.coerce.number().int().positive().optional(),
      ttl: DurationInput.optional(),
      idle: DurationInput.optional(),
      onExpire: OnExpire.optional(),
      onIdle: OnExpire.optional(),
      env: keyValues.optional().describe('KEY=value, once for each'),
    }),
    bodies: { upload: type },
    progress: true,
    answer: json(Box, 201),
    errors: [
      'box_file_invalid',
      'name_in_use',
      'unsupported_by_shape',
      'invalid_size',
      'lease_out_of_range',
      'disk_full',
    ],
    handle: async ({ query, request, response, onProgress, signal }, { plane }) => {
      const wish = checked(ImportBox, query, 'query')
      // Whoever stops reading leaves the connection open: the error has yet to be told.
      const upload = uploadOf(request, response).iterator({ destroyOnReturn: false })
      const { manifest, tree } = await openBoxFile(upload)
      try {
        checkArch(manifest)
        return await plane.importBox({ manifest, tree, wish }, { onProgress, signal })
      } finally {
        tree.destroy()
      }
    },
  }),
]

async function send(manifest: BoxManifest, tree: Readable, response: ServerResponse, plain: boolean): Promise<void> {
  response.writeHead(200, {
    'content-type': type,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    trailer,
  })
  response.setTimeout(unreadMs, () => response.destroy())
  const left = manifest.env === null ? manifest.envNames : []
  const file = writeBoxFile(manifest, tree, ({ bytes, sha256, report }) => {
    const changed = report.changed.slice(0, mostNamed).map((path) => path.slice(0, longestName))
    const exported: Exported = { bytes, sha256, changed, changedCount: report.changedCount, envNames: left }
    response.addTrailers({ [trailer]: Buffer.from(JSON.stringify(exported)).toString('base64') })
  })
  const source = Readable.from(file, { objectMode: false })
  await (plain ? pipeline(source, response) : pipeline(source, createZstdCompress(), response))
}

function checkArch({ arch, name }: BoxManifest): void {
  if (arch === hereArch) return
  throw new GibilError(
    'unsupported_by_shape',
    `The programs of the box "${name}" are for ${arch} processors, and this machine has an ${hereArch} one.`,
    { hint: `Import it on a machine with an ${arch} processor.` },
  )
}
