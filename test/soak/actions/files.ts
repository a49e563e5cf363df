import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '../client.ts'
import { must, mustEqual, SoakFailure } from '../failure.ts'
import type { BoxModel } from '../model.ts'

const dir = '/var/soak'
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')
const anyPath = ({ random }: Client): string =>
  `${dir}/${random.pick(['a', 'b', 'deep/c', 'deep/er/d', 'ä ö"\'$', 'f'])}`

async function hashNow(client: Client, box: BoxModel, path: string): Promise<string | undefined> {
  const outcome = await client.get(box, `read ${path}`, async () => {
    const files = client.handle(box).files
    return (await files.exists(path)) ? sha256(await files.read(path)) : undefined
  })
  return outcome
}

/** Replaces a file: cut off, it is the old or the new one and never half of it. */
export async function write(client: Client, box: BoxModel): Promise<void> {
  const { random } = client
  const path = anyPath(client)
  const size = random.chance(0.1) ? random.int(4_000_000, 16_000_000) : random.int(0, 200_000)
  const data = random.bytes(size)
  const outcome = await client.ask(box, `write ${path} of ${size}`, () => client.handle(box).files.write(path, data))
  if (outcome.is === 'refusal') throw new SoakFailure(`${box.name}: write ${path}: ${outcome.error}`, box.history)
  const before = box.files.get(path)
  const after = await hashNow(client, box, path)
  const isNew = after === sha256(data)
  must(
    box,
    `${path} is not what was written (${size} bytes)`,
    isNew || (outcome.is === 'cut' && after === before),
    after,
  )
  if (after !== undefined) box.files.set(path, after)
}

/** All files are as they were left, also for a command in the box. */
export async function verify(client: Client, box: BoxModel): Promise<void> {
  const script = `cd ${dir} 2>/dev/null || exit 0; find . -type f -print0 | sort -z | xargs -0 -r sha256sum -z | tr '\\0' '\\n'`
  const { stdout } = await client.get(box, 'run sha256sum', () => client.handle(box).run(script, { user: 'root' }))
  const seen = new Map(
    stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => [`${dir}/${line.slice(68)}`, line.slice(0, 64)]),
  )
  const left = [...seen.keys()].filter((path) => path.includes('.gibil-tmp-'))
  // Of a write that was cut off boxd may not know yet.
  for (const path of left) seen.delete(path)
  mustEqual(box, 'its files', [...seen].sort(), [...box.files].sort())
}

/** A part of a file is that part of it. */
export async function readRange(client: Client, box: BoxModel): Promise<void> {
  const path = [...box.files.keys()].at(0)
  if (path === undefined) return write(client, box)
  const whole = await client.get(box, `read ${path}`, () => client.handle(box).files.read(path))
  mustEqual(box, path, sha256(whole), box.files.get(path))
  if (whole.length === 0) return
  const start = client.random.int(0, whole.length - 1)
  const end = client.random.int(start, whole.length - 1)
  const part = await client.get(box, `read ${path} ${start}-${end}`, () =>
    client.handle(box).files.read(path, { start, end }),
  )
  must(box, `${path} ${start}-${end} is not that part of it`, part.equals(whole.subarray(start, end + 1)))
}

export async function remove(client: Client, box: BoxModel): Promise<void> {
  const path = anyPath(client)
  if (!box.files.has(path)) {
    return client.refused(box, `remove ${path}`, 'file_not_found', () => client.handle(box).files.remove(path))
  }
  const outcome = await client.ask(box, `remove ${path}`, () => client.handle(box).files.remove(path))
  const after = await hashNow(client, box, path)
  const wasCut = outcome.is === 'cut' || (outcome.is === 'refusal' && outcome.error.code === 'file_not_found')
  must(box, `${path} is there after it was removed`, after === undefined || (wasCut && after === box.files.get(path)))
  if (after === undefined) box.files.delete(path)
}

/** A tree goes in and comes out the same. */
export async function tree(client: Client, box: BoxModel): Promise<void> {
  const { random } = client
  const local = await mkdtemp(join(tmpdir(), 'gibil-soak-'))
  const there = `/tmp/tree-${random.word(8)}`
  try {
    const files = new Map<string, Buffer>()
    for (let index = random.int(1, 40); index > 0; index -= 1) {
      files.set(`${random.pick(['', 'x/', 'x/y/', 'z/'])}${random.word(6)}`, random.bytes(random.int(0, 20_000)))
    }
    for (const [name, data] of files) {
      await mkdir(join(local, 'in', name, '..'), { recursive: true })
      await writeFile(join(local, 'in', name), data)
    }
    const handle = client.handle(box)
    await client.get(box, `upload ${files.size} to ${there}`, () => handle.files.upload(join(local, 'in'), there))
    await client.get(box, `download ${there}`, async () => {
      await rm(join(local, 'out'), { recursive: true, force: true })
      await handle.files.download(there, join(local, 'out'))
    })
    const back = (await readdir(join(local, 'out'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(local, 'out').length + 1))
    mustEqual(box, `names in ${there}`, back.sort(), [...files.keys()].sort())
    for (const [name, data] of files) {
      must(box, `${there}/${name} is not what went in`, data.equals(await readFile(join(local, 'out', name))))
    }
    await client.get(box, `run rm ${there}`, () => handle.run(['rm', '-rf', there], { check: true }))
  } finally {
    await rm(local, { recursive: true, force: true })
  }
}
