import { CreateVolume, type Volume } from '@gibil/contract'
import type { Hono } from 'hono'
import { readBody } from '../control/body.ts'
import type { Env } from '../control/env.ts'
import { volumeTokenOf } from '../tokens.ts'

const NewVolume = CreateVolume.pick({ name: true })

/** Volumes of the key that calls. SDKs go on by the token that is in the answers. */
export function volumeRoutes(app: Hono<Env>, secret: string): void {
  const view = ({ id, name }: Volume) => ({ volumeID: id, name })
  const opened = (volume: Volume) => ({ ...view(volume), token: volumeTokenOf(secret, volume.id) })

  app.post('/volumes', async (c) => c.json(opened(await c.var.plane.volumes.create(await readBody(c, NewVolume))), 201))
  app.get('/volumes', async (c) => c.json((await c.var.plane.volumes.list()).map(view)))
  app.get('/volumes/:id', async (c) => c.json(opened(await c.var.plane.volumes.get(c.req.param('id')))))
  app.delete('/volumes/:id', async (c) => {
    await c.var.plane.volumes.remove(c.req.param('id'))
    return c.body(null, 204)
  })
}
