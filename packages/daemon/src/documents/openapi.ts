import * as contract from '@gibil/contract'
import { type ErrorCode, errorTable } from '@gibil/contract'
import * as z from 'zod'
import { apiPrefix } from '../http/prefix.ts'
import type { Route } from '../http/route.ts'
import type { Content, OpenApiDocument, Operation, Parameter, Schema } from './document.ts'

const tags: OpenApiDocument['tags'] = [
  { name: 'boxes', description: 'Boxes, their leases, fleets and events' },
  { name: 'sessions', description: 'Agents at their tasks in boxes, with what they printed and changed.' },
  { name: 'snapshots', description: 'Saved states of boxes, restore and fork' },
  { name: 'volumes', description: 'Directories that outlive boxes and are in several of them at once' },
  { name: 'commands', description: 'Commands in a box; every one is a job that boxd keeps' },
  { name: 'files', description: 'Files and trees of a box' },
  { name: 'ports', description: 'What listens in a box, and addresses of their own for ports' },
  { name: 'images', description: 'Root filesystems that boxes start from' },
  { name: 'tokens', description: 'Callers beside the administrator, each with boxes and limits of its own' },
  { name: 'daemon', description: 'The daemon itself' },
]

const ErrorBody = z.object({
  error: z.object({
    code: z.string().describe('one of the table in docs/errors.md'),
    message: z.string().describe('what happened and why'),
    hint: z.string().describe('what to do next'),
    details: z.record(z.string(), z.unknown()).optional().describe('facts for programs'),
  }),
})

/** What any call may answer, beside its own errors. */
const anywhere: readonly ErrorCode[] = ['invalid_request', 'unauthorized', 'forbidden', 'busy', 'internal']

/** The document of a table of routes. */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const { schemas, of } = jsonSchemas(routes)
  const paths: Record<string, Record<string, Operation>> = {}
  for (const route of routes) {
    const path = `${apiPrefix}${route.path}`
    paths[path] = { ...paths[path], [route.method]: operation(route, of) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Gibil',
      version,
      description: 'Linux boxes of any shape. Every failure has a code of one table, with a message and a hint.',
    },
    servers: [{ url: '/' }],
    tags,
    security: [{ token: [] }],
    paths,
    components: {
      schemas,
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            'That of the administrator, from $GIBIL_HOME/token, or one made by `POST /v1/tokens`. Not needed on the unix socket, which is the administrator.',
        },
      },
    },
  }
}

type SchemaOf = (schema: z.ZodType) => Schema

/**
 * All schemas at once: those of the contract stay under their names, so that a client made from the document has them too,
 * and whatever uses one refers to it; the rest is written where it is used.
 */
function jsonSchemas(routes: readonly Route[]): { schemas: Record<string, Schema>; of: SchemaOf } {
  const registry = z.registry<{ id: string }>()
  for (const [name, value] of Object.entries(contract)) {
    if (value instanceof z.ZodType && !registry.has(value)) registry.add(value, { id: name })
  }
  registry.add(ErrorBody, { id: 'ErrorBody' })
  for (const [index, schema] of routes.flatMap(schemasOf).entries()) {
    if (!registry.has(schema)) registry.add(schema, { id: `#${index}` })
  }
  const all = z.toJSONSchema(registry, {
    io: 'input',
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ jsonSchema }) => tidy(jsonSchema),
  }).schemas
  const plain = Object.entries(all).map(([id, { $schema: _, $id: __, ...schema }]): [string, Schema] => [id, schema])
  const named = plain.filter(([id]) => !id.startsWith('#')).sort(([a], [b]) => (a < b ? -1 : 1))
  const byId = new Map(plain)
  return {
    schemas: Object.fromEntries(named),
    of(schema) {
      const id = registry.get(schema)?.id ?? ''
      return id.startsWith('#') ? (byId.get(id) ?? {}) : { $ref: `#/components/schemas/${id}` }
    },
  }
}

const schemasOf = ({ query, body, bodies, answer }: Route): z.ZodType[] =>
  [query, body, bodies?.json, answer.kind === 'json' ? answer.schema : undefined].filter(
    (schema) => schema !== undefined,
  )

/** Leaves out what says nothing: the range of safe integers, and patterns that repeat a format. */
function tidy(schema: z.core.JSONSchema.BaseSchema): void {
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum
  if (schema.format !== undefined) delete schema.pattern
  if (schema.propertyNames && Object.keys(schema.propertyNames).join() === 'type') delete schema.propertyNames
}

function operation(route: Route, of: SchemaOf): Operation {
  const parameters = [...pathParameters(route.path), ...(route.query ? queryParameters(of(route.query)) : [])]
  const content = requestContent(route, of)
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(content === undefined ? {} : { requestBody: { required: true, content } }),
    responses: { ...success(route, of), ...failures(route, of) },
    ...(route.open ? { security: [] } : {}),
  }
}

const pathParameters = (path: string): Parameter[] =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    ...describeParameter(name),
    schema: { type: 'string' },
  }))

const describeParameter = (name: string): { description?: string } =>
  name === 'box' || name === 'snapshot'
    ? { description: `name or id of the ${name}; \`name@owner\` of a ${name} of a token` }
    : {}

function queryParameters(schema: Schema): Parameter[] {
  const { properties, required } = z
    .object({
      properties: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
      required: z.array(z.string()).default([]),
    })
    .parse(schema)
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(typeof description === 'string' ? { description } : {}),
    schema: rest,
  }))
}

function requestContent({ body, bodies }: Route, of: SchemaOf): Content | undefined {
  const schema = body ?? bodies?.json
  const content = {
    ...(schema ? { 'application/json': { schema: of(schema) } } : {}),
    ...(bodies?.upload ? { [bodies.upload]: { schema: bytes } } : {}),
  }
  return Object.keys(content).length === 0 ? undefined : content
}

const bytes: Schema = { type: 'string', contentMediaType: 'application/octet-stream' }
const text: Schema = { type: 'string' }

function success({ answer, progress }: Route, of: SchemaOf): Operation['responses'] {
  switch (answer.kind) {
    case 'json': {
      const events = { 'text/event-stream': { schema: text } }
      const content = { 'application/json': { schema: of(answer.schema) }, ...(progress ? events : {}) }
      const description = progress
        ? 'The result; with `Accept: text/event-stream`, events `progress`, then `result` or `error`.'
        : 'The result.'
      return { [answer.status]: { description, content } }
    }
    case 'empty':
      return { 204: { description: 'Done.' } }
    case 'stream':
      return {
        200: { description: answer.describe, content: { [answer.contentType]: { schema: bytesOrText(answer) } } },
      }
    case 'websocket':
      return { 101: { description: answer.describe } }
  }
}

const bytesOrText = ({ contentType }: { readonly contentType: string }): Schema =>
  contentType.startsWith('text/') ? text : contentType === 'application/json' ? { type: 'object' } : bytes

/** One response for each status, naming the codes that have it. */
function failures({ errors = [], tokens, open }: Route, of: SchemaOf): Operation['responses'] {
  const refused: readonly ErrorCode[] = tokens || open ? [] : ['administrator_only']
  const byStatus = Map.groupBy(new Set([...errors, ...anywhere, ...refused]), (code) => errorTable[code].status)
  const content = { 'application/json': { schema: of(ErrorBody) } }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => {
      const description = codes.map((code) => `\`${code}\`: ${errorTable[code].when}`).join(' ')
      return [String(status), { description, content }]
    }),
  )
}
