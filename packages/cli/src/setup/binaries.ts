import { join } from 'node:path'
import { GibilError } from '@gibil/sdk'
import { execa } from 'execa'
import { binaryDir, sourceRoot } from './source-tree.ts'

/** Our Go programs: boxd runs in every box, hostkit beside the daemon. */
const programs = ['boxd', 'hostkit'] as const

/** Builds what changed since the last time; returns the names of what was built. Throws `missing_tool` with the compiler's words. */
export async function buildBinaries(): Promise<string[]> {
  const built: string[] = []
  for (const program of programs) {
    const script = join(sourceRoot, program, 'build.sh')
    const result = await execa('sh', [script, binaryDir], { reject: false, all: true })
    if (result.exitCode !== 0) {
      throw new GibilError('missing_tool', `${program} could not be built.`, {
        hint: 'Check that Go 1.19 or newer works: `go version`.',
        details: { log: result.all.slice(-4096) },
      })
    }
    if (result.all.trim() !== '') built.push(program)
  }
  return built
}
