import { createHash } from 'node:crypto'
import { GibilError } from '@gibil/contract'
import type { Rule } from './client/client.ts'
import { cloudCodeOf, isUnknown } from './client/failure.ts'
import type { Context } from './context.ts'
import { cloudName, type Labels } from './labels.ts'

/** Makes what is not there yet: one attempt, and then a look by name whatever came of it. */
async function ensure<T>(find: () => Promise<T | undefined>, make: () => Promise<T>): Promise<T> {
  const there = await find()
  if (there !== undefined) return there
  try {
    return await make()
  } catch (error) {
    if (!isUnknown(error) && cloudCodeOf(error) !== 'uniqueness_error') throw error
    const made = await find()
    if (made !== undefined) return made
    throw error
  }
}

/**
 * The key of a box at the cloud. Without one the cloud makes a password and mails it. One with the same public half and another name is somebody's copy of it, which does
 * as well and stays his.
 */
export async function ensureSshKey(
  { client }: Context,
  id: string,
  publicKey: string,
  labels: Labels,
): Promise<number> {
  const name = cloudName(id)
  const key = await ensure(
    async () => {
      const [named] = await client.list('ssh_keys', { name })
      if (named !== undefined && !sameKey(named.public_key, publicKey)) {
        throw new GibilError('cloud_failed', `There is another SSH key called ${name} in the project.`, {
          hint: 'It is of a box that was made with another token: remove it in the console, or destroy that box.',
        })
      }
      return named ?? (await client.list('ssh_keys', { fingerprint: md5Of(publicKey) }))[0]
    },
    () => client.createSshKey({ name, public_key: publicKey, labels }),
  )
  return key.id
}

/** A firewall of its own admits SSH to a box and nothing else; everything may go out. */
export async function ensureFirewall(context: Context, id: string, labels: Labels): Promise<number> {
  const { client, sshFrom } = context
  const name = cloudName(id)
  const rules: Rule[] = [
    { direction: 'in', protocol: 'tcp', port: '22', source_ips: sshFrom, description: 'SSH' },
    { direction: 'in', protocol: 'icmp', source_ips: sshFrom, description: 'ping' },
  ]
  const firewall = await ensure(
    async () => (await client.list('firewalls', { name }))[0],
    () => client.createFirewall({ name, rules, labels }),
  )
  return firewall.id
}

const blobOf = (publicKey: string): string => publicKey.split(/\s+/)[1] ?? ''
const sameKey = (one: string, other: string): boolean => blobOf(one) === blobOf(other)

/** As the API shows a key: MD5 in pairs of hex digits. */
function md5Of(publicKey: string): string {
  const hex = createHash('md5')
    .update(Buffer.from(blobOf(publicKey), 'base64'))
    .digest('hex')
  return (hex.match(/../g) ?? []).join(':')
}
