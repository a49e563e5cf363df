import { type ErrorCode, GibilError } from '@gibil/contract'
import type { VolumeEntry, VolumeFiles } from '@gibil/core'
import { type Context, Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import * as z from 'zod'
import { parsed, readBody } from '../control/body.ts'
import type { DoorDeps } from '../deps.ts'
import { errorAnswer } from '../errors.ts'
import { sameSecret, volumeTokenOf } from '../tokens.ts'

/** Ids as sandboxes have them; the permission bits alone. */
const Id = z.coerce.number().int().min(0).max(65_535)
const Mode = z.coerce.number().int().min(0).max(0o777)
const Ownership = { uid: Id.optional(), gid: Id.optional(), mode: Mode.optional() }
const Path = z.object({ path: z.string().min(1) })
const ListQuery = Path.extend({ depth: z.coerce.number().int().min(0).max(10).optional() })
const WriteQuery = Path.extend({ ...Ownership, force: z.stringbool().optional() })
const Change = z.strictObject(Ownership)

/** What E2B answers with another status here than to its other calls. */
const statuses: Partial<Record<ErrorCode, number>> = { file_conflict: 409, disk_full: 507 }

type Parts = Pick<DoorDeps, 'secret' | 'volumeFiles' | 'ready' | 'log'>

/** The files of a volume, for who has its token. */
export function volumeContent({ secret, volumeFiles, ready, log }: Parts): Hono {
  const app = new Hono()
  const query = <T>(c: Context, schema: z.ZodType<T>): T =>
    parsed(schema, Object.fromEntries(new URL(c.req.url).searchParams))

  const filesFor = async (c: Context): Promise<VolumeFiles> => {
    const id = c.req.param('id') ?? ''
    const [, token = ''] = /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '') ?? []
    if (!sameSecret(token, volumeTokenOf(secret, id)))
      throw new GibilError('unauthorized', 'The token is not that of this volume.')
    await ready
    return volumeFiles(id)
  }
  app.onError((thrown, c) => {
    const error = GibilError.from(thrown)
    const { status: usual, body } = errorAnswer(error)
    if (error.code === 'internal' || error.code === 'driver_failed')
      log.error({ err: error }, 'a call for the files of a volume failed')
    const status = statuses[error.code] ?? usual
    // Here the code is a text.
    return c.json({ code: String(status), message: body.message }, status as ContentfulStatusCode)
  })

  app.get('/:id/path', async (c) => c.json(wire(await (await filesFor(c)).stat(query(c, Path).path))))
  app.patch('/:id/path', async (c) => {
    const files = await filesFor(c)
    return c.json(wire(await files.change(query(c, Path).path, await readBody(c, Change))))
  })
  app.delete('/:id/path', async (c) => {
    await (await filesFor(c)).remove(query(c, Path).path)
    return c.body(null, 204)
  })
  app.get('/:id/dir', async (c) => {
    const files = await filesFor(c)
    const { path, depth = 1 } = query(c, ListQuery)
    return c.json((await files.list(path, depth)).map(wire))
  })
  app.post('/:id/dir', async (c) => {
    const files = await filesFor(c)
    const { path, ...options } = query(c, WriteQuery)
    return c.json(wire(await files.makeDirectory(path, options)), 201)
  })
  app.get('/:id/file', async (c) => {
    const { size, content } = await (await filesFor(c)).read(query(c, Path).path)
    return c.body(content, 200, { 'Content-Type': 'application/octet-stream', 'Content-Length': String(size) })
  })
  app.put('/:id/file', async (c) => {
    const files = await filesFor(c)
    const { path, ...options } = query(c, WriteQuery)
    return c.json(wire(await files.write(path, c.req.raw.body ?? nothing(), options)), 201)
  })
  return app
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

const wire = ({ atime, mtime, ctime, ...entry }: VolumeEntry) => ({
  ...entry,
  atime: atime.toISOString(),
  mtime: mtime.toISOString(),
  ctime: ctime.toISOString(),
})
