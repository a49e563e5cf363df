import SwaggerParser from '@apidevtools/swagger-parser'
import { expect, test } from 'vitest'
import { routes } from '../routes/index.ts'
import { openApiDocument } from './openapi.ts'
import { docsPage } from './page.ts'

const document = openApiDocument(routes, '0.0.0')
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

test('the document is valid OpenAPI 3.1', async () => {
  await expect(SwaggerParser.validate(structuredClone(document) as never)).resolves.toBeDefined()
})

test('it has every route, each under a name of its own', () => {
  const expected = routes.map(({ method, path, id }) => `${method} /v1${path} ${id}`)
  const found = operations.map(({ path, method, operation }) => `${method} ${path} ${operation.operationId}`)
  expect(found.sort()).toEqual(expected.sort())
  expect(new Set(routes.map(({ id }) => id)).size).toBe(routes.length)
})

test('it has the schemas of the contract by name, and what uses one refers to it', () => {
  expect(Object.keys(document.components.schemas)).toEqual(
    expect.arrayContaining(['Box', 'CreateBox', 'Job', 'Image', 'ErrorBody']),
  )
  expect(document.paths['/v1/boxes']?.['post']).toMatchObject({
    requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/CreateBox' } } } },
    responses: { 201: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Box' } } } } },
  })
})

test('it says which parameters are needed', () => {
  expect(document.paths['/v1/boxes/{box}/files']?.['get']?.parameters).toMatchObject([
    { name: 'box', in: 'path', required: true },
    { name: 'path', in: 'query', required: true },
  ])
})

// A difference here is a change of the API that programs see. Where it is meant: `vitest run -u`, and the changelog.
test('it is the API of the last release', async () => {
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot('openapi.json.snap')
})

test('the page needs nothing from elsewhere and names every call', () => {
  const page = docsPage(document)
  expect(page).not.toMatch(/(?:src|href)="(?:https?:)?\/\//)
  for (const { operation } of operations) expect(page).toContain(`id="${operation.operationId}"`)
  for (const name of page.matchAll(/href="#schema-(\w+)"/g)) expect(page).toContain(`id="schema-${name[1]}"`)
})
