import { expect, test } from 'vitest'
import { parseGibilYml } from '../gibil-yml/parse.ts'
import { defaultPolicy } from '../plane/deps.ts'
import { wantedBy } from './wanted.ts'

const size = { cpu: 1, memoryMib: 512, diskMib: 1024 }
const asked = { shape: 'container', chosenBecause: null, size, ttl: undefined } as const
const wanted = (yml: string, image: string, explicit: readonly 'image'[] = []): string =>
  wantedBy(parseGibilYml(yml), { ...asked, image }, explicit, defaultPolicy).image

test('the image that nobody named goes with the shape', () => {
  expect(wanted('shape: vm', 'base')).toBe('vm')
  expect(wanted('shape: microvm', 'base')).toBe('base')
  expect(wanted('shape: vm', 'other')).toBe('other')
  expect(wanted('{ shape: vm, image: mine }', 'base')).toBe('mine')
  expect(wanted('shape: vm', 'base', ['image'])).toBe('base')
  expect(wanted('{ shape: microvm, services: { db: { image: postgres } } }', 'base')).toBe('docker')
})
