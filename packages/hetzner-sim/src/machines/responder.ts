/** Runs in the network namespace of one machine: gives it its address, and answers at 169.254.169.254. Its argument is a file of `MachineAnswers`. */
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import * as z from 'zod'
import { dhcpAnswer } from './dhcp.ts'
import { gateway, metadataAddress } from './metadata.ts'

const schema = z.object({ ipv4: z.string(), mac: z.string(), paths: z.record(z.string(), z.string()) })
const { ipv4, mac, paths } = schema.parse(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')))

createServer((request, response) => {
  const text = request.method === 'GET' ? paths[(request.url ?? '').replace(/\/$/, '')] : undefined
  response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'text/plain' }).end(text ?? 'not found')
}).listen(80, metadataAddress)

const dhcp = createSocket('udp4')
dhcp.on('message', (message) => {
  const answer = dhcpAnswer(message, mac, { address: ipv4, gateway, resolver: gateway })
  // The machine has no address yet at which it could be asked for its link address.
  if (answer) dhcp.send(answer, 68, '255.255.255.255')
})
dhcp.bind(67, () => dhcp.setBroadcast(true))
