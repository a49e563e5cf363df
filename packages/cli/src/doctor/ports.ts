import { createServer } from 'node:net'
import { type Check, fail, ok } from './check.ts'

/** The daemon takes any free port of 127.0.0.1; a loopback that is down or fully taken leaves it without one. */
export async function checkPorts(): Promise<Check> {
  const server = createServer()
  try {
    await new Promise<void>((listening, failed) => {
      server.once('error', failed)
      server.listen(0, '127.0.0.1', listening)
    })
    return ok('ports', '127.0.0.1 has a free one')
  } catch (error) {
    const mend = 'Bring the loopback interface up: ip link set lo up.'
    return fail(
      'ports',
      `none of 127.0.0.1 can be listened at: ${error instanceof Error ? error.message : error}`,
      mend,
    )
  } finally {
    server.close()
  }
}
