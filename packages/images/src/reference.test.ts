import { describe, expect, it } from 'vitest'
import { formatReference, parseReference, sameReference } from './reference.ts'

describe('references', () => {
  it.each([
    ['alpine', 'docker.io/library/alpine:latest'],
    ['alpine:3.20', 'docker.io/library/alpine:3.20'],
    ['you/image', 'docker.io/you/image:latest'],
    ['docker.io/library/alpine:3.20', 'docker.io/library/alpine:3.20'],
    ['ghcr.io/a/b/c:v1', 'ghcr.io/a/b/c:v1'],
    ['localhost/x', 'localhost/x:latest'],
    ['localhost:5000/x', 'localhost:5000/x:latest'],
    ['127.0.0.1:5000/x/y:z', '127.0.0.1:5000/x/y:z'],
    ['registry:80/x', 'registry:80/x:latest'],
    [`x@sha256:${'a'.repeat(64)}`, `docker.io/library/x@sha256:${'a'.repeat(64)}`],
    [`x:tag@sha256:${'a'.repeat(64)}`, `docker.io/library/x@sha256:${'a'.repeat(64)}`],
  ])('reads %s', (text, full) => {
    expect(formatReference(parseReference(text))).toBe(full)
  })

  it.each([
    '',
    ' ',
    'Upper',
    'a b',
    'a:',
    ':a',
    'a//b',
    '/a',
    'a/',
    '--help',
    'x@sha256:12',
    'x@y@z',
    'a\nb',
    'x:ta g',
    '../x',
  ])('refuses %j', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'image_pull_failed' }))
  })

  it('knows two names of one image', () => {
    expect(sameReference('alpine:3.20', 'docker.io/library/alpine:3.20')).toBe(true)
    expect(sameReference('alpine', 'alpine:latest')).toBe(true)
    expect(sameReference('alpine', 'alpine:3.20')).toBe(false)
    expect(sameReference('Not One', 'Not One')).toBe(false)
  })
})
