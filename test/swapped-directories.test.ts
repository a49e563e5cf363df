import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BoxHandle, Gibil, GibilError } from '@gibil/sdk'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeHome, type TestHome } from './support/home.ts'

// The user of a box swaps a directory for a link to one of root's, all the time, while files go through it in both directions. boxd has the rights of root.
let home: TestHome
let gibil: Gibil
let box: BoxHandle
let dir: string
const tries = 60
/** Whatever comes in between, the next round begins anew. */
const swap = `mkdir -p work && cd work && echo ready
  while :; do mkdir -p d; echo mine > d/inner; rm -rf d; ln -sT /root/secret d; rm -f d; done 2>/dev/null`

beforeAll(async () => {
  home = await makeHome()
  await home.startDaemon()
  gibil = Gibil.connect({ home: home.path })
  box = await gibil.create({ name: 'swaps' })
  await box.run('mkdir -m 700 /root/secret && echo hidden > /root/secret/inner', { user: 'root', check: true })
  const swapping = await box.stream(swap)
  for await (const { data } of swapping) if (Buffer.from(data).toString().includes('ready')) break
  dir = await mkdtemp(join(tmpdir(), 'gibil-swaps-'))
})
afterAll(async () => {
  gibil?.close()
  await rm(dir, { recursive: true, force: true })
  await home?.[Symbol.asyncDispose]()
})

/** How many of the tries the swapping got in the way of, each of which must have an error of the table. */
async function refused(work: (round: number) => Promise<unknown>): Promise<number> {
  let count = 0
  for (let round = 0; round < tries; round += 1) {
    await work(round).catch((error: unknown) => {
      expect(GibilError.is(error) && error.code, String(error)).toMatch(/^(invalid_path|file_conflict|file_not_found)$/)
      count += 1
    })
  }
  return count
}

it('lands no upload behind the link', async () => {
  const tree = join(dir, 'tree')
  await mkdir(join(tree, 'd'), { recursive: true })
  await writeFile(join(tree, 'd/planted'), 'x')
  expect(await refused(() => box.files.upload(tree, '~/work'))).toBeLessThan(tries)
  const { stdout } = await box.run('ls /root/secret', { user: 'root' })
  expect(stdout).toBe('inner\n')
})

it('takes nothing from behind the link, nor puts anything beside the target', async () => {
  let seen = 0
  await refused(async (round) => {
    const target = join(dir, `got-${round}`)
    await box.files.download('~/work', target)
    for (const entry of await readdir(target, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      expect(await readFile(join(entry.parentPath, entry.name), 'utf8')).not.toContain('hidden')
      seen += 1
    }
  })
  expect(seen).toBeGreaterThan(0)
  expect((await readdir(dir)).filter((name) => !/^(tree|got-\d+)$/.test(name))).toEqual([])
})

it('was swapping all the while', async () => {
  const { stdout } = await box.run('for i in $(seq 1 400); do stat -c %F work/d 2>/dev/null; done | sort -u')
  expect(stdout).toBe('directory\nsymbolic link\n')
})
