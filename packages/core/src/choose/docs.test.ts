import { readFile } from 'node:fs/promises'
import { Needs } from '@gibil/contract'
import { expect, test } from 'vitest'
import { saidOf } from './asked.ts'
import { candidates } from './candidates.ts'

const docs = await readFile(new URL('../../../../docs/choosing.md', import.meta.url), 'utf8')
const traits = [...new Set(candidates.flatMap(({ has }) => has))]

test('the table of what boxes have is that of the docs', () => {
  const rows = [...docs.matchAll(/^\| ([\w -]+) \| (yes|no) \| (yes|no) \| (yes|no) \| (yes|no) \|$/gm)]
  expect(rows.map(([, trait, ...cells]) => [trait, ...cells])).toEqual(
    rows.map(([, trait]) => [trait, ...candidates.map(({ has }) => (has.some((one) => one === trait) ? 'yes' : 'no'))]),
  )
  expect(rows.map(([, trait]) => trait).toSorted()).toEqual(traits.toSorted())
})

test('the docs name every need, as a flag and as a field', () => {
  for (const need of Needs.keyof().options) {
    expect(docs).toContain(`\`${need}\``)
    expect(docs).toContain(`\`${need.endsWith('Mib') ? `--${need.slice(0, -3)}` : saidOf(need, { [need]: true })}`)
  }
})
