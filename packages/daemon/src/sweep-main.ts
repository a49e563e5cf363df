/**
 * Ends boxes at Hetzner Cloud whose lease is over, whichever home made them, and prints what became of them as JSON. It needs the token of the project
 * and nothing else: no daemon, no root, and a home (`--home`) where the token is in it alone. For `gibil sweep --provider hetzner`, as from cron.
 */
import { parseArgs } from 'node:util'
import { errorTable, GibilError } from '@gibil/contract'
import { createHetzner } from './hetzner.ts'

try {
  const log = () => undefined
  const { home } = parseArgs({ options: { home: { type: 'string' } } }).values
  if (home === undefined) throw new GibilError('invalid_request', '--home is needed, though it need not be there.')
  const driver = createHetzner({ home, log, step: undefined }, process.env)
  const swept = (await driver.sweep()).map(({ failure, ...box }) => ({
    ...box,
    failure: failure?.toBody().error ?? null,
  }))
  process.stdout.write(`${JSON.stringify({ swept })}\n`)
} catch (thrown) {
  const error = GibilError.from(thrown)
  process.stdout.write(`${JSON.stringify(error.toBody())}\n`)
  process.exitCode = errorTable[error.code].exit
}
