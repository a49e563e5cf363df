import * as z from 'zod'
import type { Monitor } from './qmp.ts'

const answer = z.object({ status: z.string() })

/** What the machine does: `RunState` in qapi/run-state.json of QEMU. */
export const runState = async (monitor: Monitor): Promise<string> =>
  answer.parse(await monitor.run('query-status')).status
