/**
 * Checks a token of Hetzner Cloud that comes by standard input, keeps it in a home, and prints what can be seen of its project as JSON; an empty input has the home forget its
 * token. It needs no daemon. For `gibil init --hcloud-token`: by a pipe, since arguments and the environment of a process can be read by others.
 */
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { errorTable, GibilError } from '@gibil/contract'
import { checkToken, forgetToken, hetznerEndpoint, keepToken } from '@gibil/driver-hetzner'

try {
  const { home } = parseArgs({ options: { home: { type: 'string' } } }).values
  if (home === undefined) throw new GibilError('invalid_request', '--home is needed.')
  const token = (await text(process.stdin)).trim()
  if (token === '') {
    await forgetToken(home)
    process.stdout.write(`${JSON.stringify({ path: null, project: null })}\n`)
  } else {
    const project = await checkToken(token, { endpoint: hetznerEndpoint(process.env) })
    const path = await keepToken(home, token)
    process.stdout.write(`${JSON.stringify({ path, project })}\n`)
  }
} catch (thrown) {
  const error = GibilError.from(thrown)
  process.stdout.write(`${JSON.stringify(error.toBody())}\n`)
  process.exitCode = errorTable[error.code].exit
}
