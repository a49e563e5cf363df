import { expect, test } from 'vitest'
import { shapeFor } from './image-shape.ts'

const image = { name: 'some', digest: 'sha256:0', layers: ['/layers/a'], env: {}, workdir: null, user: null }
const machine = { ...image, shape: 'microvm' } as const

test('an image for every shape takes what is wanted', () => {
  expect(shapeFor(image, 'container', false)).toBe('container')
  expect(shapeFor(image, 'microvm', true)).toBe('microvm')
})

test('one that needs a kernel of its own gets it where nobody named a shape, and is no container', () => {
  expect(shapeFor(machine, 'container', false)).toBe('microvm')
  expect(shapeFor(machine, 'microvm', true)).toBe('microvm')
  expect(shapeFor(machine, 'vm', true)).toBe('vm')
  expect(() => shapeFor(machine, 'container', true)).toThrow(
    expect.objectContaining({ code: 'unsupported_by_shape', hint: expect.stringContaining('--shape microvm') }),
  )
})
