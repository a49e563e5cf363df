import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import type { TestHome } from './home.ts'

const programs = [
  'sh',
  'cat',
  'chown',
  'chmod',
  'ln',
  'ls',
  'mkdir',
  'mkfifo',
  'rm',
  'sha256sum',
  'sleep',
  'stat',
  'tar',
  'touch',
  'truncate',
  'dd',
  'printf',
]

/** Makes an image of a few programs of this host in a home, for tests that carry whole root filesystems about: of megabytes, not of hundreds. */
export async function makeSmallImage(home: TestHome, name: string): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'gibil-small-'))
  try {
    const tree = join(dir, 'tree')
    for (const path of ['bin', 'etc', 'home/agent', 'proc', 'sys', 'dev', 'run', 'tmp', 'root']) {
      await mkdir(join(tree, path), { recursive: true })
    }
    for (const program of programs) {
      const { stdout: path } = await execa('sh', ['-c', `command -v ${program} | grep / || echo /bin/${program}`])
      await copy(tree, path, `/bin/${program}`)
      const { stdout } = await execa('ldd', [path])
      for (const [library] of stdout.matchAll(/\/[^ ]+/g)) await copy(tree, library, library)
    }
    await writeFile(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n')
    await writeFile(join(tree, 'etc/group'), 'root:x:0:\nagent:x:1000:\n')
    const file = join(dir, 'tree.tar')
    await execa('tar', ['--create', '--numeric-owner', '--owner=0', '--group=0', '-f', file, '-C', tree, '.'])
    const made = await home.gibil(['image', 'import', file, '--name', name])
    if (made.exitCode !== 0) throw new Error(made.stderr)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function copy(tree: string, from: string, to: string): Promise<void> {
  await mkdir(join(tree, dirname(to)), { recursive: true })
  await cp(from, join(tree, to), { dereference: true })
}
