import { describe, expect, test } from 'vitest'
import { renderMime } from './mime.ts'
import { checkUserText, mergeConfig } from './user-text.ts'

const code = 'invalid_user_data'

describe('what is taken', () => {
  test.each([
    ['', 'none'],
    ['\n', 'none'],
    ['#cloud-config\npackages: [htop]\n', 'cloud-config'],
    ['#cloud-config\r\npackages: [htop]\r\n', 'cloud-config'],
    ['#cloud-config\n', 'cloud-config'],
    ['#!/bin/bash\necho hi\n', 'script'],
    ['#cloud-boothook\n#!/bin/sh\necho hi\n', 'boothook'],
  ])('%j is %s', (text, kind) => {
    expect(checkUserText(text).kind).toBe(kind)
  })

  test('a message of several parts, in their order', () => {
    const text = renderMime([
      { type: 'text/cloud-config', filename: 'a', text: '#cloud-config\nruncmd: [one]\n' },
      { type: 'text/x-shellscript', filename: 'b', text: '#!/bin/sh\necho grün\n' },
      { type: 'text/cloud-config', filename: 'c', text: '#cloud-config\nruncmd: [two]\n' },
    ])
    const read = checkUserText(text.replaceAll('\n', '\r\n'))
    expect(read.config).toEqual({ runcmd: ['one', 'two'] })
    expect(read.parts).toEqual([{ type: 'text/x-shellscript', filename: 'user-001', text: '#!/bin/sh\necho grün\n' }])
  })

  test('YAML as cloud-init reads it', () => {
    expect(checkUserText('#cloud-config\na: yes\nb: 0644\nc: "yes"\n').config).toEqual({ a: true, b: 420, c: 'yes' })
  })
})

describe('what is refused, with the reason', () => {
  test.each([
    ['packages: [htop]', /says nothing of its kind/],
    ['#include\nhttp://example.org/x', /#include/],
    ['#include-once\nhttp://example.org/x', /#include/],
    ['## template: jinja\n#cloud-config\n', /template/],
    ['#part-handler\n', /part-handler/],
    ['#cloud-config-archive\n[]\n', /MIME/],
    ['#cloud-config\n- a list\n', /not a list of keys/],
    ['#cloud-config\na: [\n', /cannot be read/],
    ['#cloud-config\na: !!python/object/apply:os.system [id]\n', /cannot be read/],
    ['#cloud-config\nssh_keys: {}\nssh_pwauth: true\n', /ssh_keys, ssh_pwauth/],
    ['#cloud-config\nusers: [{name: agent}]\n', /user agent/],
    ['#cloud-config\nusers: {name: x}\n', /not a list/],
    ['#!/bin/sh\0', /NUL/],
    [`#!/bin/sh\n${'#'.repeat(256 * 1024)}`, /the most is/],
    ['Content-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: text/plain\n\nhi\n', /kind/],
    [
      'Content-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: text/x-include-url\n\n#include\nhttp://a\n--x--\n',
      /#include/,
    ],
    [
      'Content-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: text/jinja2\n\n#!/bin/sh\n--x--\n',
      /says that it is text\/jinja2/,
    ],
  ])('%j', (text, message) => {
    expect(() => checkUserText(text)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    )
  })

  test('more aliases than a person would write', () => {
    const bomb = Array.from({ length: 12 }, (_, n) => `a${n}: &a${n} [${Array(9).fill(n ? `*a${n - 1}` : 'x')}]`)
    expect(() => checkUserText(`#cloud-config\n${bomb.join('\n')}\n`)).toThrow(expect.objectContaining({ code }))
  })
})

test('lists are appended, maps merged, and else the second counts', () => {
  const first = { list: [1], map: { a: 1, b: { c: 1 } }, value: 1 }
  expect(mergeConfig(first, { list: [2], map: { b: { d: 2 } }, value: [2], other: null })).toEqual({
    list: [1, 2],
    map: { a: 1, b: { c: 1, d: 2 } },
    value: [2],
    other: null,
  })
})
