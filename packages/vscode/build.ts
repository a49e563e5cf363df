/** Makes `packages/vscode/dist/gibil.vsix`, or the file that is named: the extension as one program, with its manifest, guide, licence and icons. */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createVSIX } from '@vscode/vsce'
import { build } from 'esbuild'

const here = import.meta.dirname
const dist = join(here, 'dist')
const vsix = resolve(process.argv[2] ?? join(dist, 'gibil.vsix'))
/** What is packed, and nothing else. */
const extension = join(dist, 'extension')

await rm(extension, { recursive: true, force: true })
await mkdir(extension, { recursive: true })
await build({
  entryPoints: [join(here, 'src/extension.ts')],
  outfile: join(extension, 'extension.cjs'),
  bundle: true,
  platform: 'node',
  format: 'cjs',
  // What VS Code 1.95 has, the oldest that the extension is for.
  target: 'node20.18',
  external: ['vscode'],
  minify: true,
})
const {
  private: _,
  type: __,
  devDependencies: ___,
  ...manifest
} = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'))
await writeFile(
  join(extension, 'package.json'),
  JSON.stringify({ ...manifest, main: './extension.cjs', files: ['*', 'media'] }, null, 2),
)
await cp(join(here, 'media'), join(extension, 'media'), { recursive: true })
await cp(join(here, 'README.md'), join(extension, 'README.md'))
await cp(join(here, '../../LICENSE'), join(extension, 'LICENSE'))
await createVSIX({ cwd: extension, packagePath: vsix, dependencies: false, allowMissingRepository: true })
