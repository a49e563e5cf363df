import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, errorTable } from '@gibil/contract'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { type JsonSchema, valuesOf } from '../../../test/support/schema-arbitrary.ts'
import { startWorld, type World } from '../../core/src/test/world.ts'
import { startTestDaemon, type TestDaemon } from '../test/support/test-daemon.ts'
import { boxdOf } from './boxd-access.ts'
import { routes } from './routes/index.ts'

let world: World
let daemon: TestDaemon
let isOver = false
let time: Promise<void>

/** The real control plane and store; the driver and boxd are in memory, and time goes by as fast as it can. */
beforeAll(async () => {
  world = await startWorld({ maxBoxes: 30 })
  time = (async () => {
    for (; !isOver; await sleep(1)) await world.clock.advance(500)
  })()
  // The domain that the world has started is the one that is served.
  const plane = { ...world.plane, start: async () => undefined, stop: async () => undefined }
  daemon = await startTestDaemon(plane, { boxd: boxdOf(world.plane) })
  await daemon.call('POST', '/boxes', { body: { name: 'known', ttl: 'none' } })
})
afterAll(async () => {
  await daemon[Symbol.asyncDispose]()
  isOver = true
  await time
  await world.close()
})

const jsonSchemaOf = (schema: z.ZodType | undefined): JsonSchema | undefined =>
  schema && (z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema)
const segment = fc.oneof(
  { weight: 5, arbitrary: fc.constant('known') },
  fc.constantFrom('nobody', '.', '..', '%', '%2e%2e', '%00', '%ff', 'b'.repeat(5000), '%20', '__proto__', 'a%2Fb'),
  fc
    .string()
    .map(encodeURIComponent)
    .map((text) => text || '-'),
)
/** All but what stops the daemon, WebSockets, and the export, whose answer is cut off here: the trees of boxes in memory are no archives. */
const notServed = ['shutdown', 'exportBox']
const served = routes.filter(({ id, answer }) => !notServed.includes(id) && answer.kind !== 'websocket')

interface Request {
  readonly method: string
  readonly path: string
  readonly body: string | undefined
}

const request: fc.Arbitrary<Request> = fc.constantFrom(...served).chain((route) => {
  const bodySchema = jsonSchemaOf(route.body) ?? jsonSchemaOf(route.bodies?.json)
  const query = jsonSchemaOf(route.query)
  const body = bodySchema
    ? fc.oneof({ weight: 8, arbitrary: valuesOf(bodySchema).map((value) => JSON.stringify(value)) }, fc.string())
    : fc.option(fc.string(), { nil: undefined })
  const segments = fc.array(segment, { minLength: 3, maxLength: 3 })
  const search = query ? valuesOf(query, 1) : fc.oneof({ weight: 9, arbitrary: fc.constant({}) }, fc.jsonValue())
  return fc.tuple(segments, search, body).map(([parts, given, text]) => {
    let next = 0
    const path = route.path.replaceAll(/\{\w+\}/g, () => parts[next++] ?? '')
    return { method: route.method.toUpperCase(), path: `${path}${searchOf(given)}`, body: text }
  })
})

function searchOf(given: unknown): string {
  if (typeof given !== 'object' || given === null) return ''
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(given)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) search.append(name, typeof one === 'object' ? JSON.stringify(one) : String(one))
    }
  }
  return search.size === 0 ? '' : `?${search}`
}

test('any request gets an answer or a documented error, and the daemon lives on', async () => {
  await fc.assert(
    fc.asyncProperty(request, async ({ method, path, body }) => {
      const response = await daemon.open(method, path, {
        ...(body === undefined
          ? {}
          : {
              raw: body,
              headers: { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) },
            }),
      })
      const status = response.statusCode ?? 0
      if (status < 400) {
        // Some of these answers never end by themselves.
        response.destroy()
        return
      }
      let text = ''
      for await (const chunk of response) text += String(chunk)
      const { error } = JSON.parse(text) as { error: { code: ErrorCode; message: string; hint: string } }
      expect(errorTable[error.code].status, text).toBe(status)
      expect(error.code, text).not.toBe('internal')
      expect(error.code, text).not.toBe('driver_failed')
      expect(error.message.length * error.hint.length).toBeGreaterThan(0)
    }),
    { numRuns: process.env['GIBIL_FUZZ_SECONDS'] ? Number.MAX_SAFE_INTEGER : 300 },
  )
  expect((await daemon.call('GET', '/health')).json).toEqual({ status: 'ok' })
})
