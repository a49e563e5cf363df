import { GibilError } from '@gibil/contract'

/** What templates are called: a name, and the tag of one of its builds. */
export interface TemplateName {
  readonly name: string
  /** Undefined: none was given, which means `default` where a build is looked for. */
  readonly tag: string | undefined
}

export const defaultTag = 'default'
const name = /^[a-z0-9_-]{1,128}$/
const tag = /^[a-z0-9_.-]{1,128}$/

/** Reads `name` and `name:tag`, in letters of any size. Undefined for what no template can be called. */
export function readName(text: string): TemplateName | undefined {
  const [own = '', tagged, ...more] = text.trim().toLowerCase().split(':')
  const isGood = name.test(own) && more.length === 0 && (tagged === undefined || tag.test(tagged))
  return isGood ? { name: own, tag: tagged } : undefined
}

/** Throws `invalid_request`. */
export function checkedName(text: string): TemplateName {
  const found = readName(text)
  if (found) return found
  const words = `"${text.slice(0, 80)}" is no name of a template: use letters, digits, "-" and "_", with ":" and a tag or without.`
  throw new GibilError('invalid_request', words)
}

/** Throws `invalid_request`. */
export function checkedTag(text: string): string {
  const own = text.trim().toLowerCase()
  if (tag.test(own)) return own
  throw new GibilError(
    'invalid_request',
    `"${text.slice(0, 80)}" is no tag: use letters, digits, "-", "_" and ".", without the name.`,
  )
}
