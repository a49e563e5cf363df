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
  'setcap',
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
    await makeSmallTree(tree, programs)
    const file = join(dir, 'tree.tar')
    await execa('tar', ['--create', '--numeric-owner', '--owner=0', '--group=0', '-f', file, '-C', tree, '.'])
    const made = await home.gibil(['image', 'import', file, '--name', name])
    if (made.exitCode !== 0) throw new Error(made.stderr)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Makes a root filesystem of programs of this host and the libraries that they need. Names with a slash are files. */
export async function makeSmallTree(tree: string, names: readonly string[]): Promise<void> {
  for (const path of ['bin', 'etc', 'home/agent', 'proc', 'sys', 'dev', 'run', 'tmp', 'root']) {
    await mkdir(join(tree, path), { recursive: true })
  }
  for (const name of names) {
    const { stdout: path } = name.includes('/')
      ? { stdout: name }
      : await execa('sh', ['-c', `command -v ${name} | grep / || echo /bin/${name}`])
    await copy(tree, path, name.includes('/') ? name : `/bin/${name}`)
    const { stdout } = await execa('ldd', [path], { reject: false })
    for (const [library] of stdout.matchAll(/\/[^ ]+/g)) await copy(tree, library, library)
  }
  await writeFile(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n')
  await writeFile(join(tree, 'etc/group'), 'root:x:0:\nagent:x:1000:\n')
}

async function copy(tree: string, from: string, to: string): Promise<void> {
  await mkdir(join(tree, dirname(to)), { recursive: true })
  await cp(from, join(tree, to), { dereference: true })
}
