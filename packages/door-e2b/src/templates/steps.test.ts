import { GibilError } from '@gibil/contract'
import { expect, test } from 'vitest'
import { credentialsOf, failureOf, freshFrom, StartBuild, stepsOf } from './steps.ts'

const build = (input: object): StartBuild => StartBuild.parse(input)
const archiveOf = (hash: string): string => `/uploads/${hash}`

test('steps become those of images', () => {
  const steps = [
    { type: 'RUN', args: ['make'], force: false },
    { type: 'RUN', args: ['make install', 'root'] },
    { type: 'COPY', args: ['src', '/app', '', '0755'], filesHash: 'abc', forceUpload: true },
    { type: 'ENV', args: ['A', '1', 'B', '2'] },
    { type: 'WORKDIR', args: ['/app'] },
    { type: 'USER', args: ['app'] },
  ]
  expect(stepsOf(build({ steps }), archiveOf)).toEqual([
    { kind: 'run', command: 'make', user: undefined },
    { kind: 'run', command: 'make install', user: 'root' },
    { kind: 'copy', archive: '/uploads/abc', source: 'src', target: '/app', user: undefined, mode: 0o755 },
    { kind: 'env', values: { A: '1', B: '2' } },
    { kind: 'workdir', path: '/app' },
    { kind: 'user', name: 'app' },
  ])
})

test.each([
  [{ type: 'RUN' }, 'invalid_request'],
  [{ type: 'COPY', args: ['a', 'b'] }, 'invalid_request'],
  [{ type: 'COPY', args: ['a', 'b', '', 'rwx'], filesHash: 'abc' }, 'invalid_request'],
  [{ type: 'ENV', args: ['A-B', '1'] }, 'invalid_request'],
  [{ type: 'HEALTHCHECK', args: ['x'] }, 'unsupported_by_door'],
])('%j is refused as %s', (step, code) => {
  expect(() => stepsOf(build({ steps: [step] }), archiveOf)).toThrowError(expect.objectContaining({ code }))
})

test('a step that must be done again makes those after it be done again too', () => {
  const steps = [
    { type: 'RUN', args: ['a'] },
    { type: 'RUN', args: ['b'], force: true },
    { type: 'RUN', args: ['c'] },
  ]
  expect(freshFrom(build({ steps }))).toBe(2)
  expect(freshFrom(build({ steps, force: true }))).toBe(0)
  expect(freshFrom(build({ steps: steps.slice(0, 1) }))).toBe(2)
})

test('credentials of a registry are taken, those of clouds refused', () => {
  const given = { type: 'registry', username: 'me', password: 'secret' }
  expect(credentialsOf(build({ fromImageRegistry: given }))).toEqual({ username: 'me', password: 'secret' })
  const aws = { type: 'aws', awsAccessKeyId: 'a', awsSecretAccessKey: 'b', awsRegion: 'c' }
  expect(() => credentialsOf(build({ fromImageRegistry: aws }))).toThrow(/"aws" is not supported/)
})

test('failures are told in the words that SDKs know', () => {
  const step = { type: 'RUN', args: ['whoami', 'root123'] }
  expect(failureOf(step, new GibilError('user_not_found', 'The image has no user "root123".'))).toBe(
    "failed to run command 'whoami': command failed: unauthenticated: invalid username: 'root123'",
  )
  expect(failureOf({ type: 'COPY', args: ['a', 'b'] }, new Error('no file matches "a"'))).toBe(
    `failed to do 'COPY a b': no file matches "a"`,
  )
})
