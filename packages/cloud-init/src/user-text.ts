import { GibilError } from '@gibil/contract'
import { parseDocument } from 'yaml'
import type { Part } from './mime.ts'
import { readMime } from './read-mime.ts'

export type UserTextKind = 'none' | 'cloud-config' | 'script' | 'boothook' | 'mime'

/** What a user gave, read: one configuration, and what is run beside it. */
export interface UserText {
  readonly kind: UserTextKind
  readonly config: Readonly<Record<string, unknown>>
  readonly parts: readonly Part[]
}

/** More does not fit into what clouds take, however well it is compressed. */
const maxTextBytes = 256 * 1024

/** Who would change these would lock Gibil out, or let others in. */
const ours = [
  'hostname',
  'fqdn',
  'preserve_hostname',
  'ssh_keys',
  'ssh_deletekeys',
  'ssh_genkeytypes',
  'ssh_pwauth',
  'disable_root',
  'merge_how',
  'merge_type',
]

/** Kinds that cloud-init knows and Gibil does not take, with the reason. */
const refused: readonly (readonly [string, string])[] = [
  ['#include', 'what it leads to could be anything by the time the machine reads it'],
  ['#cloud-config-archive', 'write its parts as MIME'],
  ['#part-handler', 'it would change how the rest is read'],
  ['#upstart-job', 'machines have systemd'],
  ['#cloud-config-jsonp', 'a patch could change any of what Gibil says'],
  ['## template:', 'it can only be read in the machine, so nothing can be merged with it'],
]

/**
 * Reads cloud-init text of a user: nothing, a `#cloud-config`, a script with `#!`, a `#cloud-boothook`, or a MIME message of these. Throws `invalid_user_data` for
 * all else, for YAML that cannot be read, and for keys that are Gibil's.
 */
export function checkUserText(text: string): UserText {
  const bytes = Buffer.byteLength(text)
  if (bytes > maxTextBytes) {
    throw invalid(`The cloud-init text has ${bytes} bytes; the most is ${maxTextBytes}.`)
  }
  if (text.includes('\0')) throw invalid('The cloud-init text holds a NUL byte.')
  if (text.trim() === '') return { kind: 'none', config: {}, parts: [] }
  const first = text.split('\n', 1)[0]?.trimEnd() ?? ''
  for (const [start, why] of refused) {
    if (first.startsWith(start)) throw invalid(`cloud-init text that begins with "${start}" is not taken: ${why}.`)
  }
  if (first.startsWith('#!')) return { kind: 'script', config: {}, parts: [part('text/x-shellscript', 1, text)] }
  if (first === '#cloud-boothook') {
    return { kind: 'boothook', config: {}, parts: [part('text/cloud-boothook', 1, text)] }
  }
  if (first === '#cloud-config') return { kind: 'cloud-config', config: readConfig(text), parts: [] }
  const message = /^[A-Za-z-]+:\s/.test(first) ? readMime(text) : undefined
  if (message) return readMessage(message)
  throw invalid(`The cloud-init text begins with "${first.slice(0, 60)}", which says nothing of its kind.`)
}

function readMessage(message: readonly { type: string; text: string }[]): UserText {
  let config: Record<string, unknown> = {}
  const parts: Part[] = []
  message.forEach(({ type, text }, index) => {
    // cloud-init goes by the first line where it knows it, so that must be of the same kind.
    const read = checkUserText(type === 'text/cloud-config' && !text.startsWith('#') ? `#cloud-config\n${text}` : text)
    const said = { 'cloud-config': 'text/cloud-config', script: 'text/x-shellscript', boothook: 'text/cloud-boothook' }
    if (read.kind === 'none') return
    if (read.kind === 'mime' || ![said[read.kind], 'text/plain'].includes(type)) {
      throw invalid(`Part ${index + 1} of the cloud-init text says that it is ${type}, and is a ${read.kind}.`)
    }
    config = mergeConfig(config, read.config)
    for (const { type: kind, text: body } of read.parts) parts.push(part(kind, parts.length + 1, body))
  })
  return { kind: 'mime', config, parts }
}

/** Scripts are run in the order of their names; these come after `runcmd`, which installs what they may need. */
const part = (type: Part['type'], number: number, text: string): Part => ({
  type,
  filename: `user-${String(number).padStart(3, '0')}`,
  text,
})

function readConfig(text: string): Record<string, unknown> {
  let config: unknown
  try {
    // cloud-init reads YAML 1.1, where `yes` and `0644` are no strings, and takes no tags but those of YAML.
    const document = parseDocument(text, { version: '1.1' })
    const [wrong] = [...document.errors, ...document.warnings]
    if (wrong) throw wrong
    config = document.toJS() ?? {}
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw invalid(`The cloud-config cannot be read: ${why}`, error)
  }
  if (!isRecord(config)) throw invalid('The cloud-config is not a list of keys with values.')
  const taken = ours.filter((key) => key in config)
  if (taken.length > 0) throw invalid(`The cloud-config sets ${taken.join(', ')}, which Gibil does.`)
  const { users } = config
  const named = Array.isArray(users) ? users.map((user) => (isRecord(user) ? user['name'] : user)) : []
  if (users !== undefined && !Array.isArray(users)) throw invalid('"users" of the cloud-config is not a list.')
  if (named.includes('agent')) throw invalid('The cloud-config changes the user agent, which Gibil makes.')
  return config
}

/** Lists are appended, maps merged, and of anything else the second counts. */
export function mergeConfig(
  first: Readonly<Record<string, unknown>>,
  second: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...first }
  for (const [key, value] of Object.entries(second)) {
    const before = merged[key]
    if (Array.isArray(before) && Array.isArray(value)) merged[key] = [...before, ...value]
    else if (isRecord(before) && isRecord(value)) merged[key] = mergeConfig(before, value)
    else merged[key] = value
  }
  return merged
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const invalid = (message: string, cause?: unknown): GibilError =>
  new GibilError('invalid_user_data', message, cause === undefined ? {} : { cause })
