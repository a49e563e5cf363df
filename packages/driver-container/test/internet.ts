import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import { startNameServer } from '../../../test/support/name-server.ts'

/**
 * A piece of internet for network.test.ts, run in a network namespace of its own: HTTP on port 8080 that tells who asked (and at `/seen`, who
 * sent datagrams to port 9), and a name server that knows one answer.
 */

const seen: string[] = []

await startNameServer(() => '198.51.100.2')
createSocket('udp4', (_, from) => seen.push(from.address)).bind(9)
createServer((request, response) => {
  response.end(request.url === '/seen' ? seen.join('\n') : (request.socket.remoteAddress ?? '').replace('::ffff:', ''))
}).listen(8080, () => process.stdout.write('ready\n'))
