import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { root } from './home.ts'

const cache = '/var/tmp/gibil-test-cloud-images'
const script = join(root, 'packages/hetzner-sim/make-image.sh')

/**
 * A directory of images for machines of the simulator, made once: `debian-12`, with the files of the image `vm` of that home, so that a box has Docker, PostgreSQL and
 * Redis without a mirror that it could reach.
 */
export async function provideCloudImages(home: string): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(home, 'images/manifests/vm.json'), 'utf8'))
  const { digest, layers } = manifest as { digest: string; layers: string[] }
  const key = createHash('sha256')
    .update(digest)
    .update(await readFile(script))
    .digest('hex')
  const made = join(cache, key.slice(0, 16))
  if (existsSync(made)) return made
  await mkdir(cache, { recursive: true, mode: 0o700 })
  const work = await mkdtemp(join(cache, 'making-'))
  const [tree, upper, inner, out] = ['tree', 'upper', 'work', 'out'].map((name) => join(work, name)) as [
    string,
    string,
    string,
    string,
  ]
  try {
    for (const path of [tree, upper, inner]) await mkdir(path)
    // Highest first, as overlayfs has it.
    const lower = layers.map((id) => join(home, 'images/layers', id)).reverse()
    await execa('mount', [
      '-t',
      'overlay',
      '-o',
      `lowerdir=${lower.join(':')},upperdir=${upper},workdir=${inner}`,
      'overlay',
      tree,
    ])
    await execa('sh', [script, join(out, 'debian-12'), tree])
    await rename(out, made).catch((error: unknown) => {
      // Somebody else was faster.
      if (!existsSync(made)) throw error
    })
  } finally {
    await execa('umount', [tree], { reject: false })
    await rm(work, { recursive: true, force: true })
  }
  return made
}
