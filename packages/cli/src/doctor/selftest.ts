import { access } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { z } from 'zod'
import { binaryDir } from '../setup/source-tree.ts'
import { type Check, fail, ok, skip } from './check.ts'

const Selftest = z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() }))

/** Tries on this kernel, in a throwaway folder, each thing that a container is made of. */
export async function checkHostkit(): Promise<Check[]> {
  const hostkit = join(binaryDir, 'hostkit')
  const built = await access(hostkit).then(
    () => true,
    () => false,
  )
  if (!built) return [fail('hostkit', 'not built yet', './gibil up')]
  if (process.getuid?.() !== 0) return [skip('kernel features', 'only root can try them')]
  const result = await execa(hostkit, ['selftest', '--dir', tmpdir()], { reject: false, timeout: 60_000 })
  const parsed = Selftest.safeParse(safeJson(result.stdout))
  if (!parsed.success) return [fail('hostkit', `its self-test did not run: ${result.stderr.slice(-300)}`, './gibil up')]
  return parsed.data.map((item) =>
    item.ok
      ? ok(item.name, item.detail)
      : fail(item.name, item.detail, 'Use a kernel that has this, and run the daemon on the host itself.'),
  )
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
