/**
 * What of the internet the suite of E2B asks for, run in a network namespace of its own by e2b-internet.ts: each address answers over HTTPS with
 * the status that the suite (js-sdk 2.45.0) expects of the real one, and one name leads to the third address.
 */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { startNameServer } from '../test/support/name-server.ts'

const [certificate = '', key = '', own = '', name = ''] = process.argv.slice(2)
const peers = [
  { address: '1.1.1.1', status: 301, headers: { location: 'https://one.one.one.one/' } },
  { address: '8.8.8.8', status: 302, headers: { location: 'https://dns.google/' } },
  { address: own, status: 204, headers: {} },
]
const identity = { cert: await readFile(certificate), key: await readFile(key) }
for (const { address, status, headers } of peers) {
  const server = createServer(identity, (_, response) => response.writeHead(status, headers).end())
  await once(server.listen(443, address), 'listening')
}
await startNameServer((asked) => (asked === name ? own : undefined))
process.stdout.write('ready\n')
