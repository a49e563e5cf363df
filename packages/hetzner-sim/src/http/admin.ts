import type { Hono } from 'hono'
import * as z from 'zod'
import { bill } from '../billing.ts'
import { type Faults, faultSchema } from '../faults.ts'
import type { World } from '../world.ts'
import type { Env, Seen } from './app.ts'

export interface AdminDeps {
  readonly world: World
  readonly faults: Faults
  readonly requests: () => readonly Seen[]
}

/** What Hetzner has not: faults, what was asked, what it has cost. With a token of the simulator, whatever faults do to it. */
export function mountAdmin(app: Hono<Env>, { world, faults, requests }: AdminDeps): void {
  const admin = app.basePath('/_sim')
  const tokenOf = (header: string | undefined) => world.tokens.get(/^Bearer +(\S+)$/i.exec(header ?? '')?.[1] ?? '')

  admin.use('*', async (context, next) => {
    if (!tokenOf(context.req.header('authorization'))) return context.json({ error: 'a token is required' }, 401)
    return next()
  })
  admin.get('/faults', (context) => context.json({ faults: faults.list() }))
  admin.post('/faults', async (context) => {
    const fault = faultSchema.safeParse(await context.req.json().catch(() => undefined))
    if (!fault.success) return context.json({ error: z.prettifyError(fault.error) }, 422)
    return context.json({ id: faults.add(fault.data) }, 201)
  })
  admin.delete('/faults', (context) => {
    faults.clear()
    return context.body(null, 204)
  })
  admin.delete('/faults/:id', (context) =>
    context.body(null, faults.remove(Number(context.req.param('id'))) ? 204 : 404),
  )
  admin.get('/requests', (context) => context.json({ requests: requests() }))
  admin.get('/bill', (context) => {
    const token = tokenOf(context.req.header('authorization'))
    return context.json(token ? bill(token.project, world.now()) : {})
  })
  admin.post('/rate-limit', async (context) => {
    const body = z.object({ remaining: z.int().min(0) }).safeParse(await context.req.json().catch(() => undefined))
    if (!body.success) return context.json({ error: z.prettifyError(body.error) }, 422)
    tokenOf(context.req.header('authorization'))?.bucket.drainTo(body.data.remaining)
    return context.body(null, 204)
  })
}
