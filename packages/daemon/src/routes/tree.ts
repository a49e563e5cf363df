import * as z from 'zod'
import { uploadOf } from '../http/body.ts'
import { empty, type Route, route, stream, written } from '../http/route.ts'
import { sendDownload } from './download.ts'
import { forFiles, path, repeated } from './query.ts'

const tag = 'files'
const tar = 'application/x-tar'
const errors = ['box_not_found', 'wrong_state', 'file_not_found', 'invalid_path', 'permission_denied'] as const

export const treeRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/boxes/{box}/tar',
    id: 'readTree',
    tag,
    summary: 'The contents of a directory, or one file, as a tar stream',
    query: z.strictObject({ path, exclude: repeated.optional().describe('a pattern to leave out, once for each') }),
    answer: stream(tar, 'A tar stream in the PAX form, owners by name.'),
    errors,
    handle: async ({ param, query, response, signal }, api) => {
      const { path: from, exclude = [] } = query
      await sendDownload(await api.boxd(param('box'), signal, forFiles).readTar(from, { exclude }), response)
      return written
    },
  }),
  route({
    method: 'put',
    path: '/boxes/{box}/tar',
    id: 'writeTree',
    tag,
    summary: 'Unpack a tar stream below a directory',
    description: 'Entries that lead out of the directory are refused.',
    query: z.strictObject({ path, user: z.string().optional().describe('owner; default the user of the box') }),
    bodies: { upload: tar },
    answer: empty,
    errors: [...errors, 'file_conflict', 'disk_full'],
    handle: async ({ param, query, request, response, signal }, api) => {
      const { path: target, ...options } = query
      await api.boxd(param('box'), signal, forFiles).writeTar(target, uploadOf(request, response), options)
    },
  }),
]
