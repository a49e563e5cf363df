import { chmod, cp, lchown, lstat, mkdir, readdir, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { inPhase, type OperationOptions } from './progress.ts'
import { type HostEnv, mustRun } from './tool.ts'

/**
 * Makes the layer with Node in `folder/node`: the binary from the npm package node-linux-<arch>, npm itself from its own. Fetched by
 * the host's npm, which verifies both.
 */
export const buildNode = async (
  versions: { node: string; npm: string; arch: string },
  folder: string,
  options: OperationOptions & { env: HostEnv },
): Promise<string> =>
  inPhase(options, 'node', `node ${versions.node}, npm ${versions.npm}`, async () => {
    const work = join(folder, 'npm')
    const packages = { node: `node-linux-${versions.arch}`, npm: 'npm' }
    await mkdir(work)
    const wanted = [`${packages.node}@${versions.node}`, `${packages.npm}@${versions.npm}`]
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--no-package-lock', '--global=false']
    await mustRun(
      ['npm', 'install', '--prefix', work, '--cache', join(folder, 'npm-cache'), ...flags, ...wanted],
      { env: options.env, signal: options.signal, cwd: work },
      (tail) =>
        new GibilError(
          'image_build_failed',
          `Node could not be fetched from npm: ${tail.trim().split('\n').at(-1) ?? ''}`,
          {
            hint: "Check the network, and the registry in this host's npm configuration.",
            details: { log: tail },
          },
        ),
    )
    const tree = join(folder, 'node')
    const local = join(tree, 'usr/local')
    const modules = join(local, 'lib/node_modules')
    await mkdir(join(local, 'bin'), { recursive: true, mode: 0o755 })
    await mkdir(modules, { recursive: true, mode: 0o755 })
    await rename(join(work, 'node_modules', packages.node, 'bin/node'), join(local, 'bin/node'))
    await chmod(join(local, 'bin/node'), 0o755)
    await cp(join(work, 'node_modules', packages.npm), join(modules, 'npm'), {
      recursive: true,
      verbatimSymlinks: true,
    })
    for (const path of ['docs', 'man']) await rm(join(modules, 'npm', path), { recursive: true, force: true })
    for (const tool of ['npm', 'npx']) {
      await symlink(`../lib/node_modules/npm/bin/${tool}-cli.js`, join(local, 'bin', tool))
    }
    await ownByRoot(tree)
    for (const path of ['npm', 'npm-cache']) await rm(join(folder, path), { recursive: true, force: true })
    return tree
  })

/** npm keeps the owner of the folder that it installs to, and our umask; in the image all is root's, and readable by everyone. */
const ownByRoot = async (path: string): Promise<void> => {
  await lchown(path, 0, 0)
  await chmod(path, 0o755)
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name)
    if (entry.isDirectory()) await ownByRoot(child)
    else await lchown(child, 0, 0)
    if (entry.isFile()) await chmod(child, ((await lstat(child)).mode & 0o100) === 0 ? 0o644 : 0o755)
  }
}
