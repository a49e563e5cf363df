/**
 * Runs every suite and adds up what they counted: the Go tests of boxd and hostkit, the unit tests, and those of real boxes in two projects side by side.
 * `npm test -- unit` or `npm test -- e2e` runs one suite alone; further arguments go to vitest.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'

interface Count {
  passed: number
  failed: number
  /** What failed, a line each: repeated at the end, since what is said in between is far above it. */
  readonly failures: string[]
}

const root = resolve(import.meta.dirname, '..')
const goModules = ['boxd', 'hostkit']
/** Suites and their vitest projects. */
const suites = { unit: ['unit'], e2e: ['e2e', 'machines'] }

/** Counts top-level tests and subtests from `go test -json`, and shows the output of what failed. */
async function goTest(module: string): Promise<Count> {
  const child = spawn('go', ['test', '-json', '-count=1', './...'], {
    cwd: join(root, module),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number>((done) => child.once('close', (code) => done(code ?? 1)))
  const count: Count = { passed: 0, failed: 0, failures: [] }
  const output = new Map<string, string[]>()
  for await (const line of createInterface({ input: child.stdout })) {
    const event = parseEvent(line)
    if (!event) continue
    const key = `${event.Package} ${event.Test ?? ''}`
    if (event.Action === 'output') output.set(key, [...(output.get(key) ?? []), event.Output ?? ''])
    if (event.Test === undefined) {
      if (event.Action === 'fail') process.stdout.write((output.get(key) ?? []).join(''))
      continue
    }
    if (event.Action === 'pass') count.passed += 1
    if (event.Action === 'fail') {
      count.failed += 1
      count.failures.push(`${event.Package} ${event.Test}`)
      process.stdout.write((output.get(key) ?? []).join(''))
    }
    if (event.Action === 'pass' || event.Action === 'skip') output.delete(key)
  }
  // A build that fails runs no test at all, which must not look like success.
  if ((await ended) !== 0 && count.failed === 0) {
    count.failed += 1
    count.failures.push(`${module}: go test failed outside of a test`)
  }
  process.stdout.write(`${module}: ${count.passed} passed, ${count.failed} failed\n`)
  return count
}

interface GoEvent {
  readonly Action: string
  readonly Package: string
  readonly Test?: string
  readonly Output?: string
}

function parseEvent(line: string): GoEvent | undefined {
  try {
    return JSON.parse(line) satisfies GoEvent
  } catch {
    process.stdout.write(`${line}\n`)
    return undefined
  }
}

interface VitestReport {
  readonly numPassedTests?: number
  readonly numFailedTests?: number
  readonly testResults?: readonly FileReport[]
}

interface FileReport {
  readonly name: string
  readonly status: string
  readonly message: string
  readonly assertionResults: readonly {
    readonly status: string
    readonly fullName: string
    readonly failureMessages?: readonly string[]
  }[]
}

function failuresOf({ name, status, message, assertionResults }: FileReport): string[] {
  const file = relative(root, name)
  const failed = assertionResults.filter((test) => test.status === 'failed')
  if (failed.length === 0) return status === 'failed' ? [`${file}: ${firstLine(message)}`] : []
  return failed.map(({ fullName, failureMessages }) => `${file}: ${fullName}: ${firstLine(failureMessages?.[0] ?? '')}`)
}

const firstLine = (text: string): string => text.split('\n', 1)[0]?.slice(0, 300) ?? ''

async function vitest(project: string, extra: readonly string[]): Promise<Count> {
  const dir = await mkdtemp(join(tmpdir(), 'gibil-tests-'))
  try {
    const report = join(dir, 'report.json')
    const vitestEntry = join(root, 'node_modules/vitest/vitest.mjs')
    const args = [
      vitestEntry,
      'run',
      '--project',
      project,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      // The other project of the suite may have the file that was asked for.
      '--passWithNoTests',
      ...extra,
    ]
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
    const code = await new Promise<number>((done) => child.once('close', (status) => done(status ?? 1)))
    const found: VitestReport = JSON.parse(await readFile(report, 'utf8').catch(() => '{}'))
    const { numPassedTests: passed = 0, numFailedTests: failed = 0 } = found
    const failures = (found.testResults ?? []).flatMap(failuresOf)
    if (code === 0 || failed > 0) return { passed, failed, failures }
    return { passed, failed: 1, failures: [...failures, `${project}: vitest failed outside of a test (exit ${code})`] }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const [first, ...rest] = process.argv.slice(2)
const one = Object.entries(suites).filter(([name]) => name === first)
const extra = one.length > 0 || first === undefined ? rest : [first, ...rest]
const counts: Count[] = []
if (first === undefined) counts.push(...(await Promise.all(goModules.map(goTest))))
for (const [, projects] of one.length > 0 ? one : Object.entries(suites)) {
  counts.push(...(await Promise.all(projects.map((project) => vitest(project, extra)))))
}

const passed = counts.reduce((sum, count) => sum + count.passed, 0)
const failed = counts.reduce((sum, count) => sum + count.failed, 0)
for (const failure of counts.flatMap(({ failures }) => failures)) process.stdout.write(`failed: ${failure}\n`)
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1
