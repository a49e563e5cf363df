import { chmod, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { join, relative } from 'node:path'
import * as z from 'zod'
import { parseJson } from './files.ts'
import { npmInstall } from './npm-install.ts'
import { ownByRoot } from './own-by-root.ts'
import { inPhase, type OperationOptions } from './progress.ts'
import type { HostEnv } from './tool.ts'

interface NpmTools {
  /** Version of Node by the end of its folder's name: `22` for `/opt/node22`. */
  readonly nodes: Readonly<Record<string, string>>
  readonly npmPackages: Readonly<Record<string, string>>
  readonly arch: string
}

/** What npm knows of the programs of a package: one of its own name, or several. */
const Programs = z.object({ bin: z.union([z.string(), z.record(z.string(), z.string())]).optional() })

/** Makes the layer with more of npm in `folder/tools`: other versions of Node below `/opt`, and packages whose programs are for all in `/usr/local/bin`. */
export const buildNpmTools = async (
  { nodes, npmPackages, arch }: NpmTools,
  folder: string,
  options: OperationOptions & { env: HostEnv },
): Promise<string> => {
  const all = [...Object.values(nodes).map((version) => `node ${version}`), ...Object.keys(npmPackages)]
  return inPhase(options, 'npm packages', all.join(', '), async () => {
    const tree = join(folder, 'tools')
    const local = join(tree, 'usr/local')
    await mkdir(join(local, 'bin'), { recursive: true, mode: 0o755 })
    for (const [major, version] of Object.entries(nodes)) {
      const name = `node-linux-${arch}`
      const work = join(folder, `node${major}`)
      await npmInstall(work, { [name]: version }, folder, options)
      const bin = join(tree, 'opt', `node${major}`, 'bin')
      await mkdir(bin, { recursive: true, mode: 0o755 })
      await rename(join(work, 'node_modules', name, 'bin/node'), join(bin, 'node'))
      await chmod(join(bin, 'node'), 0o755)
      await rm(work, { recursive: true })
    }
    // One folder for each: what one depends on is nothing to the others.
    for (const [name, version] of Object.entries(npmPackages)) {
      const home = join(local, 'lib/npm', name)
      await npmInstall(home, { [name]: version }, folder, options)
      await linkPrograms(join(home, 'node_modules', name), name, join(local, 'bin'))
    }
    await ownByRoot(tree)
    await rm(join(folder, 'npm-cache'), { recursive: true, force: true })
    return tree
  })
}

const linkPrograms = async (folder: string, name: string, bin: string): Promise<void> => {
  const { bin: programs = {} } = Programs.parse(parseJson(await readFile(join(folder, 'package.json'), 'utf8')))
  const short = name.split('/').at(-1) ?? name
  for (const [program, path] of Object.entries(typeof programs === 'string' ? { [short]: programs } : programs)) {
    await chmod(join(folder, path), 0o755)
    await symlink(relative(bin, join(folder, path)), join(bin, program))
  }
}
