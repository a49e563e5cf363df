import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** The IPv4 address of a name; undefined for one that is not there. */
type AddressOf = (name: string) => string | undefined

/** A name server on port 53, by UDP and TCP, that knows IPv4 addresses alone; what else a name may have it says to be none (RFC 1035). */
export async function startNameServer(addressOf: AddressOf): Promise<void> {
  const datagrams = createSocket('udp4', (query, from) => {
    datagrams.send(answerTo(query, addressOf), from.port, from.address)
  })
  const streams = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (data) => {
      const reply = answerTo(data.subarray(2), addressOf)
      const length = Buffer.alloc(2)
      length.writeUInt16BE(reply.length)
      socket.end(Buffer.concat([length, reply]))
    })
  })
  datagrams.bind(53)
  streams.listen(53)
  await Promise.all([once(datagrams, 'listening'), once(streams, 'listening')])
}

/** The query's header and question again, and a record that points at the question's name where there is one. */
function answerTo(query: Buffer, addressOf: AddressOf): Buffer {
  const labels: string[] = []
  let end = 12
  for (let length = query[end] ?? 0; length !== 0; length = query[end] ?? 0) {
    labels.push(query.toString('latin1', end + 1, end + 1 + length))
    end += length + 1
  }
  const address = addressOf(labels.join('.').toLowerCase())
  const asked = query.readUInt16BE(end + 1) === 1 ? address : undefined
  const header = Buffer.from(query.subarray(0, 12))
  // A response with recursion; 3 is "no such name".
  header.writeUInt16BE(address === undefined ? 0x8183 : 0x8180, 2)
  header.writeUInt16BE(asked === undefined ? 0 : 1, 6)
  header.writeUInt32BE(0, 8)
  const question = query.subarray(12, end + 5)
  if (asked === undefined) return Buffer.concat([header, question])
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...asked.split('.').map(Number)])
  return Buffer.concat([header, question, record])
}
