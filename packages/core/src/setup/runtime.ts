import { GibilError } from '@gibil/contract'
import { capture, type SetupRun } from './commands.ts'

const commands: Readonly<Record<string, readonly string[]>> = {
  node: ['node', '--version'],
  npm: ['npm', '--version'],
  pnpm: ['pnpm', '--version'],
  yarn: ['yarn', '--version'],
  bun: ['bun', '--version'],
  deno: ['deno', '--version'],
  python: ['python3', '--version'],
  go: ['go', 'version'],
  ruby: ['ruby', '--version'],
  java: ['java', '--version'],
  rust: ['rustc', '--version'],
  php: ['php', '--version'],
}

/** Whether `24.3.1` is what `24` or `24.3` asks for. `*` and `latest` take any. */
export function satisfies(version: string, wanted: string): boolean {
  if (wanted === '*' || wanted === 'latest') return true
  const parts = wanted.replace(/^v/, '').split('.')
  const there = version.split('.')
  return parts.every((part, index) => part === 'x' || part === there[index])
}

/** Checks that the image has what `.gibil.yml` needs. Throws `invalid_config` that says what is there instead. */
export async function checkRuntime(run: SetupRun, runtime: Readonly<Record<string, string>>): Promise<void> {
  for (const [tool, wanted] of Object.entries(runtime)) {
    const argv = commands[tool]
    if (!argv) continue
    const result = await capture(run, { argv, label: `runtime ${tool}`, timeoutMs: 30_000 }).catch(() => undefined)
    run.signal.throwIfAborted()
    const version = result?.exit.exitCode === 0 ? /\d+(\.\d+)*/.exec(result.stdout)?.[0] : undefined
    if (version !== undefined && satisfies(version, wanted)) continue
    const found = version === undefined ? `has no ${tool}` : `has ${tool} ${version}`
    throw new GibilError(
      'invalid_config',
      `.gibil.yml wants ${tool} ${wanted}, but the image "${run.record.image}" ${found}.`,
      {
        hint: `Choose an image that has it, or change "runtime" in .gibil.yml.`,
        details: { step: `runtime ${tool}`, tool, wanted, found: version ?? null },
      },
    )
  }
}
