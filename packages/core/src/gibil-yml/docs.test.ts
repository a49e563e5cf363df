import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { parseGibilYml } from './parse.ts'
import { GibilYml } from './schema.ts'

const docs = await readFile(new URL('../../../../docs/gibil-yml.md', import.meta.url), 'utf8')

test('the example of the docs is a file that fits', () => {
  const example = /```yaml\n([\s\S]*?)```/.exec(docs)?.[1] ?? ''
  expect(parseGibilYml(example)).toMatchObject({
    size: 'medium',
    tasks: [{}, { name: 'build' }],
    services: [{}, { name: 'web' }],
  })
})

test('the docs name every field', () => {
  for (const field of Object.keys(GibilYml.shape)) expect(docs).toContain(`\`${field}\``)
})
