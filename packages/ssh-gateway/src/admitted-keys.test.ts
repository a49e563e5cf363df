import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { admittedKeys } from './admitted-keys.ts'
import { readOrMakeHostKey } from './host-key.ts'
import { loginOf } from './login.ts'

const key = (comment: string) => ssh2.utils.generateKeyPairSync('ed25519', { comment })

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-keys-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

test('a list admits whole lines without options, and nothing else that is in it', async () => {
  const [plain, restricted, second] = [key('plain words'), key('r'), key('s')]
  const file = join(dir, 'authorized_keys')
  const lines = [
    '# a comment',
    '',
    `  ${plain.public}`,
    `from="10.0.0.0/8" ${restricted.public}`,
    `command="x" ${restricted.public}`,
    'ssh-ed25519 AAAA',
    'ssh-ed25519 not base64!',
    'sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t',
    'x'.repeat(10_000),
    `${second.public}\r`,
  ]
  await writeFile(file, lines.join('\n'))
  const admitted = await admittedKeys({ files: [file, join(dir, 'nothing')], userDirectory: join(dir, 'nowhere') })
  expect(admitted.map(({ comment }) => comment)).toEqual(['plain words', 's'])
})

test('of the keys of the user, those whose private half is there', async () => {
  const own = join(dir, 'own')
  await mkdir(own)
  for (const name of ['id_mine', 'id_theirs', 'deploy']) await writeFile(join(own, `${name}.pub`), key(name).public)
  await writeFile(join(own, 'id_mine'), 'private')
  await writeFile(join(own, 'deploy'), 'private')
  const admitted = await admittedKeys({ files: [], userDirectory: own })
  expect(admitted.map(({ comment }) => comment)).toEqual(['id_mine'])
})

test('a host key is made once, and one that is damaged is not replaced', async () => {
  const path = join(dir, 'ssh/host')
  const [first, second] = await Promise.all([readOrMakeHostKey(path), readOrMakeHostKey(path)])
  expect(second).toEqual(first)
  expect(first.public).toMatch(/^ssh-ed25519 \S+$/)
  await chmod(path, 0o600)
  await writeFile(path, 'garbage')
  await expect(readOrMakeHostKey(path)).rejects.toMatchObject({ code: 'host_unfit' })
})

test.each([
  ['work', { box: 'work', user: undefined }],
  ['root+work', { box: 'work', user: 'root' }],
  ['a+b+work', { box: 'work', user: 'a+b' }],
  ['+work', { box: '+work', user: undefined }],
  ['', { box: '', user: undefined }],
])('%j names a box and a user', (username, login) => expect(loginOf(username)).toEqual(login))
