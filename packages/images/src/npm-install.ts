import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import type { OperationOptions } from './progress.ts'
import { type HostEnv, mustRun } from './tool.ts'

/** Fetches packages by the host's npm, which verifies them, to `target/node_modules`; none of their scripts runs. `cache` is a folder for npm's. */
export const npmInstall = async (
  target: string,
  packages: Readonly<Record<string, string>>,
  cache: string,
  { env, signal }: OperationOptions & { env: HostEnv },
): Promise<void> => {
  await mkdir(target, { recursive: true })
  const wanted = Object.entries(packages).map(([name, version]) => `${name}@${version}`)
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--no-package-lock', '--global=false']
  await mustRun(
    ['npm', 'install', '--prefix', target, '--cache', join(cache, 'npm-cache'), ...flags, ...wanted],
    { env, signal, cwd: target },
    (tail) =>
      new GibilError(
        'image_build_failed',
        `${wanted.join(', ')} could not be fetched from npm: ${tail.trim().split('\n').at(-1) ?? ''}`,
        {
          hint: "Check the network, and the registry in this host's npm configuration.",
          details: { log: tail },
        },
      ),
  )
}
