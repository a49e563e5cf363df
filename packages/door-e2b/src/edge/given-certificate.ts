import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { GibilError } from '@gibil/contract'
import type { Certificate } from './certificate.ts'
import { writePrivate } from './write-private.ts'

/** One file, so that a certificate never lies beside the key of another. */
const fileOf = (dir: string): string => join(dir, 'given.pem')

/**
 * Throws `invalid_request` unless the certificate can be served for all names of a domain from now on: with the ones that signed it behind it in the
 * same text, as authorities give it.
 */
export function checkGiven({ cert, key }: Certificate, domain: string): void {
  const host = domain.replace(/:\d+$/, '')
  const found = readOr('The certificate', 'a certificate in PEM', () => new X509Certificate(cert))
  const own = readOr('The key', 'a private key in PEM without a passphrase', () => createPrivateKey(key))
  if (!found.checkPrivateKey(own))
    throw bad('The key is not that of the certificate.', 'Give the key that it was asked for with.')
  const names = found.subjectAltName ?? 'none'
  if (found.checkHost(`x.${host}`) === undefined) {
    throw bad(
      `The certificate is not for *.${host}: its names are ${names}.`,
      'Give --domain the name that it is for, or a wildcard certificate.',
    )
  }
  const now = Date.now()
  if (Date.parse(found.validTo) <= now)
    throw bad(`The certificate has ended on ${found.validTo}.`, 'Have it renewed first.')
  if (Date.parse(found.validFrom) > now)
    throw bad(`The certificate is valid from ${found.validFrom} on.`, 'Look at the clock of this machine.')
  readOr('The certificate', 'one that TLS can be spoken with', () => createSecureContext({ cert, key }))
}

export const keepGiven = (dir: string, { cert, key }: Certificate): Promise<void> =>
  writePrivate(fileOf(dir), `${cert.trim()}\n${key.trim()}\n`)

export const forgetGiven = (dir: string): Promise<void> => rm(fileOf(dir), { force: true })

/** That of the last time; undefined: none was given. */
export async function readGiven(dir: string): Promise<Certificate | undefined> {
  const text = await readFile(fileOf(dir), 'utf8').catch(() => undefined)
  const at = text?.search(/^-----BEGIN [A-Z ]*PRIVATE KEY-----$/m) ?? -1
  return text === undefined || at === -1 ? undefined : { cert: text.slice(0, at), key: text.slice(at) }
}

const bad = (what: string, hint: string, cause?: unknown): GibilError =>
  new GibilError('invalid_request', what, { hint, cause })

function readOr<T>(what: string, wanted: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw bad(`${what} cannot be read: ${cause instanceof Error ? cause.message : cause}.`, `Give ${wanted}.`, cause)
  }
}
