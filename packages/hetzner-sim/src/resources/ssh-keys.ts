import { createHash } from 'node:crypto'
import * as z from 'zod'
import { timeOf } from '../actions.ts'
import { invalid, notUnique } from '../errors.ts'
import { list } from '../http/list.ts'
import { bodyOf, created, noContent, ok, type Route, recordOf } from '../http/route.ts'
import { labels } from '../labels.ts'
import { checkName, checkQuota, name, rewrite } from './common.ts'

const createBody = z.object({ name, public_key: z.string(), labels: labels.default({}) })
const changeBody = z.object({ name: name.optional(), labels: labels.optional() })
const what = 'SSH key'

export const sshKeyRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/ssh_keys',
    handle: (call) =>
      list(call, {
        field: 'ssh_keys',
        records: call.project.ssh_keys.values(),
        view: (key) => key,
        filters: { name: (key) => key.name, fingerprint: ({ fingerprint }) => fingerprint },
        sorts: { name: (key) => key.name },
      }),
  },
  {
    method: 'POST',
    path: '/ssh_keys',
    handle: (call) => {
      const { project, world } = call
      const body = bodyOf(call, createBody)
      const public_key = body.public_key.trim()
      const fingerprint = fingerprintOf(public_key)
      if (fingerprint === undefined) throw invalid('public_key', 'is no SSH public key')
      checkName(project.ssh_keys, body.name, what)
      for (const key of project.ssh_keys.values()) {
        if (key.fingerprint === fingerprint) throw notUnique('public_key', 'SSH key with the same fingerprint exists')
      }
      checkQuota(call, 'ssh_key', project.ssh_keys.size)
      const key = { id: world.nextId(), ...body, public_key, fingerprint, created: timeOf(world.now()) }
      project.ssh_keys.set(key.id, key)
      world.changed()
      return created({ ssh_key: key })
    },
  },
  {
    method: 'GET',
    path: '/ssh_keys/:id',
    handle: (call) => ok({ ssh_key: recordOf(call, call.project.ssh_keys, what) }),
  },
  {
    method: 'PUT',
    path: '/ssh_keys/:id',
    handle: (call) => {
      const key = recordOf(call, call.project.ssh_keys, what)
      const change = bodyOf(call, changeBody)
      if (change.name !== undefined) checkName(call.project.ssh_keys, change.name, what, key)
      rewrite(key, change)
      call.world.changed()
      return ok({ ssh_key: key })
    },
  },
  {
    method: 'DELETE',
    path: '/ssh_keys/:id',
    handle: (call) => {
      call.project.ssh_keys.delete(recordOf(call, call.project.ssh_keys, what).id)
      call.world.changed()
      return noContent
    },
  },
]

/** MD5 of the key's blob, in pairs (as `ssh-keygen -E md5 -l` writes it); undefined for what is no public key (RFC 4253, 6.6). */
function fingerprintOf(publicKey: string): string | undefined {
  const [, type = '', text = ''] =
    /^((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[\w@.-]+) ([A-Za-z0-9+/]+={0,2})(?: [^\n]*)?$/.exec(publicKey) ?? []
  const blob = Buffer.from(text, 'base64')
  if (blob.length < 8 || blob.readUInt32BE(0) !== type.length) return undefined
  if (blob.subarray(4, 4 + type.length).toString('latin1') !== type) return undefined
  return createHash('md5').update(blob).digest('hex').match(/../g)?.join(':')
}
