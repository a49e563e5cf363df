import type { IncomingHttpHeaders } from 'node:http'
import { GibilError } from '@gibil/contract'

/** Under which extended attributes the metadata of a file is kept. */
export const metadataPrefix = 'user.e2b.'

const header = 'x-metadata-'
const printable = /^[\x20-\x7e]*$/
/** XATTR_NAME_MAX of linux/limits.h, less the prefix. */
const maxName = 255 - metadataPrefix.length
const maxTotal = 4096

/** The metadata that a request gives the files it writes; undefined: none is named. Throws `invalid_request`. */
export function metadataIn(headers: IncomingHttpHeaders): Record<string, string> | undefined {
  const found: Record<string, string> = {}
  let total = 0
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(header)) continue
    const key = name.slice(header.length)
    const text = Array.isArray(value) ? value.join(', ') : (value ?? '')
    if (key === '' || key.length > maxName || !printable.test(key) || !printable.test(text)) {
      throw new GibilError(
        'invalid_request',
        `Metadata "${key.slice(0, 80)}" is not printable ASCII, or its name is too long.`,
      )
    }
    total += key.length + text.length
    found[key] = text
  }
  if (total > maxTotal) throw new GibilError('invalid_request', `Metadata has at most ${maxTotal} bytes.`)
  return Object.keys(found).length === 0 ? undefined : found
}
