import { chmod, cp, mkdir, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { npmInstall } from './npm-install.ts'
import { ownByRoot } from './own-by-root.ts'
import { inPhase, type OperationOptions } from './progress.ts'
import type { HostEnv } from './tool.ts'

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
    await npmInstall(work, { [packages.node]: versions.node, [packages.npm]: versions.npm }, folder, options)
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
