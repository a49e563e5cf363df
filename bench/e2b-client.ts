/**
 * A program that was written for E2B, by its own SDK: makes a sandbox and runs a command for each line that it reads, and prints how many milliseconds
 * that took. Names below E2B_DOMAIN lead to this machine, as a name server would have it.
 */
import dns from 'node:dns'
import { createInterface } from 'node:readline'
import { Sandbox } from 'e2b'

const suffix = `.${(process.env['E2B_DOMAIN'] ?? '').replace(/:\d+$/, '')}`
const lookup = dns.lookup
const here = (host: string, options: dns.LookupAllOptions, done: (...found: unknown[]) => void): void => {
  if (!host.endsWith(suffix)) lookup(host, options, done)
  else if (options.all) process.nextTick(done, null, [{ address: '127.0.0.1', family: 4 }])
  else process.nextTick(done, null, '127.0.0.1', 4)
}
dns.lookup = Object.assign(here, lookup)

for await (const _ of createInterface({ input: process.stdin })) {
  const begun = performance.now()
  const sandbox = await Sandbox.create()
  const created = performance.now()
  const { stdout } = await sandbox.commands.run('echo hi')
  const ms = performance.now() - begun
  if (stdout !== 'hi\n') throw new Error(`The command printed ${JSON.stringify(stdout)}.`)
  await sandbox.kill()
  process.stdout.write(`${JSON.stringify({ ms, create: created - begun })}\n`)
}
