import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const applets = [
  'sh',
  'cat',
  'dd',
  'echo',
  'env',
  'false',
  'head',
  'id',
  'kill',
  'ls',
  'nc',
  'pwd',
  'seq',
  'sleep',
  'true',
  'wc',
  'yes',
]

/** A root filesystem of one static program, as a tar archive: enough for a box, made in a moment. */
export async function busyboxTar(): Promise<Buffer> {
  const dir = await mkdtemp(join(tmpdir(), 'gibil-busybox-'))
  try {
    for (const name of ['bin', 'etc', 'tmp', 'root', 'home', 'home/agent', 'proc', 'sys', 'dev', 'run', 'usr', 'var']) {
      await mkdir(join(dir, name))
    }
    await chmod(join(dir, 'tmp'), 0o1777)
    await copyFile('/bin/busybox', join(dir, 'bin/busybox'))
    await chmod(join(dir, 'bin/busybox'), 0o755)
    for (const name of applets) await symlink('busybox', join(dir, 'bin', name))
    await writeFile(join(dir, 'bin/bash'), '#!/bin/sh\nexec sh "$@"\n', { mode: 0o755 })
    await writeFile(join(dir, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n')
    await writeFile(join(dir, 'etc/group'), 'root:x:0:\nagent:x:1000:\n')
    const owner = ['--owner=0', '--group=0', '--numeric-owner']
    const { stdout } = await run('tar', ['-C', dir, ...owner, '-cf', '-', '.'], {
      encoding: 'buffer',
      maxBuffer: 64 << 20,
    })
    return stdout
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
