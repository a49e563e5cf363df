/**
 * Tries properties (fast-check) and fuzz tests (Go) for so many seconds each instead of a moment. What fails prints the value that it
 * failed with: fast-check as a seed, Go as a file below testdata/fuzz that is then run by `go test` for ever.
 */
import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const root = resolve(import.meta.dirname, '..')
const usage = `npm run fuzz -- [--seconds N] [part of a file's or a fuzz test's name ...]

  --seconds  for each property and each fuzz test, 30 by default
`

async function filesBelow(dir: string, wanted: (name: string) => boolean): Promise<string[]> {
  const entries = await readdir(join(root, dir), { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && wanted(entry.name))
  return files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => !path.includes('/node_modules/'))
}

function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<boolean> {
  const child = spawn(program, args, { cwd, stdio: 'inherit', env: { ...process.env, ...env } })
  return new Promise((done) => child.once('close', (code) => done(code === 0)))
}

/** Every unit test file that states a property. */
async function properties(isWanted: (name: string) => boolean, seconds: number): Promise<boolean> {
  const tests = await filesBelow('packages', (name) => name.endsWith('.test.ts'))
  const texts = await Promise.all(tests.map(async (path) => ({ path, text: await readFile(path, 'utf8') })))
  const files = texts.filter(({ text }) => text.includes("from 'fast-check'")).map(({ path }) => relative(root, path))
  const chosen = files.filter(isWanted)
  if (chosen.length === 0) return true
  const entry = join(root, 'node_modules/vitest/vitest.mjs')
  return run(process.execPath, [entry, 'run', '--project', 'unit', ...chosen], root, {
    GIBIL_FUZZ_SECONDS: String(seconds),
  })
}

/** Every `Fuzz…` of a Go module, one after another: go fuzzes one at a time. */
async function goFuzz(module: string, isWanted: (name: string) => boolean, seconds: number): Promise<boolean> {
  let ok = true
  for (const path of await filesBelow(module, (name) => name.endsWith('_test.go'))) {
    const names = [...(await readFile(path, 'utf8')).matchAll(/^func (Fuzz\w+)\(/gm)].map(([, name = '']) => name)
    for (const name of names.filter((one) => isWanted(one) || isWanted(relative(root, path)))) {
      process.stdout.write(`${module}: ${name}\n`)
      const dir = `./${relative(join(root, module), join(path, '..'))}`
      const args = ['test', '-run=^$', `-fuzz=^${name}$`, `-fuzztime=${seconds}s`, '-fuzzminimizetime=5s', dir]
      ok = (await run('go', args, join(root, module))) && ok
    }
  }
  return ok
}

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '30' }, help: { type: 'boolean', default: false } },
})
const seconds = Number(values.seconds)
if (values.help || !(seconds > 0)) {
  process.stdout.write(usage)
  process.exit(values.help ? 0 : 2)
}
const isWanted = (name: string): boolean =>
  positionals.length === 0 || positionals.some((part) => name.toLowerCase().includes(part.toLowerCase()))
const results = [await properties(isWanted, seconds)]
for (const module of ['boxd', 'hostkit']) results.push(await goFuzz(module, isWanted, seconds))
process.exitCode = results.every(Boolean) ? 0 : 1
