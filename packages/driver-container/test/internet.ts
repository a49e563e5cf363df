import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'

/**
 * A piece of internet for network.test.ts, run in a network namespace of its own: HTTP on port 8080 that tells who asked (and at `/seen`, who
 * sent datagrams to port 9), and a name server that knows one answer.
 */

const seen: string[] = []
const answer = [198, 51, 100, 2]

/** The answer to a DNS query: its header and question again, and one A record that points at the question's name. */
function resolve(query: Buffer): Buffer {
  const header = Buffer.from(query.subarray(0, 12))
  header.writeUInt16BE(0x8180, 2)
  header.writeUInt16BE(1, 6)
  header.writeUInt32BE(0, 8)
  let end = 12
  while ((query[end] ?? 0) !== 0) end += (query[end] ?? 0) + 1
  const question = query.subarray(12, end + 5)
  const isA = query.readUInt16BE(end + 1) === 1
  if (!isA) header.writeUInt16BE(0, 6)
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...answer])
  return Buffer.concat([header, question, ...(isA ? [record] : [])])
}

const names = createSocket('udp4', (query, from) => names.send(resolve(query), from.port, from.address))
names.bind(53)
createTcpServer((socket) => {
  socket.on('error', () => undefined)
  socket.once('data', (data) => {
    const reply = resolve(data.subarray(2))
    const length = Buffer.alloc(2)
    length.writeUInt16BE(reply.length)
    socket.end(Buffer.concat([length, reply]))
  })
}).listen(53)
createSocket('udp4', (_, from) => seen.push(from.address)).bind(9)
createServer((request, response) => {
  response.end(request.url === '/seen' ? seen.join('\n') : (request.socket.remoteAddress ?? '').replace('::ffff:', ''))
}).listen(8080, () => process.stdout.write('ready\n'))
