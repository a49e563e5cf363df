import { GibilError } from '@gibil/contract'

/** A reference to an image in a registry, with all its parts. */
export interface Reference {
  readonly registry: string
  readonly repository: string
  readonly tag: string | null
  readonly digest: string | null
}

const registryPart = /^(localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+(?=:))(:[0-9]{1,5})?$/
const repositoryPart = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/
const tagPart = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

const parse = (text: string): Reference | undefined => {
  const [named = '', digest, ...more] = text.replace(/^docker:\/\//, '').split('@')
  const slash = named.indexOf('/')
  const first = slash < 0 ? '' : named.slice(0, slash)
  const hasRegistry = first !== '' && registryPart.test(first)
  const path = hasRegistry ? named.slice(slash + 1) : named
  const colon = path.lastIndexOf(':')
  const repository = colon < 0 ? path : path.slice(0, colon)
  const tag = colon < 0 ? null : path.slice(colon + 1)
  const registry = hasRegistry ? first : 'docker.io'
  if (more.length > 0 || !repositoryPart.test(repository) || (tag !== null && !tagPart.test(tag))) return undefined
  if (digest !== undefined && !/^sha256:[0-9a-f]{64}$/.test(digest)) return undefined
  return {
    registry,
    repository: registry === 'docker.io' && !repository.includes('/') ? `library/${repository}` : repository,
    tag: tag ?? (digest === undefined ? 'latest' : null),
    digest: digest ?? null,
  }
}

/**
 * Reads a reference as Docker does: no registry means docker.io, no tag means latest. Throws `image_pull_failed`.
 * The grammar is that of github.com/distribution/reference.
 */
export const parseReference = (text: string): Reference => {
  const reference = parse(text)
  if (reference) return reference
  throw new GibilError('image_pull_failed', `${JSON.stringify(text.slice(0, 120))} is not a reference to an image.`, {
    hint: 'Write it such as alpine:3.20, ghcr.io/you/image:tag or registry.example:5000/image@sha256:….',
  })
}

/** As skopeo takes it; with both, the digest decides and the tag must go. */
export const formatReference = (reference: Reference): string =>
  `${reference.registry}/${reference.repository}${reference.digest ? `@${reference.digest}` : `:${reference.tag}`}`

/** Whether two names mean the same image in a registry. */
export const sameReference = (a: string, b: string): boolean => {
  const [left, right] = [parse(a), parse(b)]
  return left !== undefined && right !== undefined && formatReference(left) === formatReference(right)
}
