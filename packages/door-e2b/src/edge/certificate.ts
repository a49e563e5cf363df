import { X509Certificate } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { execa } from 'execa'

/** In PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Where what is made for the names of a domain lies: whoever is to trust it needs `ca.pem`. */
export const certificateFiles = (dir: string) => ({
  ca: join(dir, 'ca.pem'),
  caKey: join(dir, 'ca.key'),
  cert: join(dir, 'cert.pem'),
  key: join(dir, 'cert.key'),
})

/** The longest that browsers take from an authority that was added by hand. */
const leafDays = 397
const caDays = 3650
/** One that ends sooner is made anew. */
const spareMs = 30 * 86_400_000

/**
 * A certificate for `*.<domain>` and for this machine, by an authority of this home: both are made when they are not there, or not good
 * any more. The key of the authority stays on this machine. Throws `missing_tool` where there is no openssl.
 */
export async function provideCertificate(dir: string, domain: string): Promise<Certificate> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const files = certificateFiles(dir)
  const host = domain.replace(/:\d+$/, '')
  if (!(await isGood(files.ca, undefined))) await makeAuthority(dir, files)
  if (!(await isGood(files.cert, `x.${host}`))) await makeLeaf(dir, files, host)
  const [cert, key] = await Promise.all([readFile(files.cert, 'utf8'), readFile(files.key, 'utf8')])
  return { cert, key }
}

async function isGood(path: string, host: string | undefined): Promise<boolean> {
  try {
    const found = new X509Certificate(await readFile(path))
    const names = host === undefined || found.checkHost(host) !== undefined
    return names && Date.parse(found.validTo) - Date.now() > spareMs
  } catch {
    return false
  }
}

type Files = ReturnType<typeof certificateFiles>
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

async function makeAuthority(dir: string, files: Files): Promise<void> {
  await inPlace(dir, async (work) => {
    const constraints = ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign,cRLSign']
    await openssl([
      ...['req', '-x509', ...newKey, '-keyout', join(work, 'ca.key'), '-out', join(work, 'ca.pem')],
      ...['-days', String(caDays), '-subj', '/CN=Gibil E2B door'],
      ...constraints.flatMap((line) => ['-addext', line]),
    ])
    await rename(join(work, 'ca.key'), files.caKey)
    await rename(join(work, 'ca.pem'), files.ca)
  })
}

async function makeLeaf(dir: string, files: Files, host: string): Promise<void> {
  await inPlace(dir, async (work) => {
    const at = (name: string): string => join(work, name)
    const names = [`DNS:${host}`, `DNS:*.${host}`, 'DNS:localhost', 'IP:127.0.0.1', 'IP:::1'].join(',')
    await writeFile(at('ext'), `subjectAltName=${names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n`)
    await openssl([
      'req',
      '-new',
      ...newKey,
      '-keyout',
      at('key'),
      '-out',
      at('csr'),
      '-subj',
      `/CN=${host.slice(0, 64)}`,
    ])
    await openssl([
      ...['x509', '-req', '-in', at('csr'), '-CA', files.ca, '-CAkey', files.caKey, '-out', at('pem')],
      ...['-days', String(leafDays), '-extfile', at('ext'), '-set_serial', `0x${Date.now().toString(16)}`],
    ])
    await rename(at('key'), files.key)
    await rename(at('pem'), files.cert)
  })
  await chmod(files.ca, 0o644)
}

async function inPlace(dir: string, work: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = await mkdtemp(join(dir, 'new-'))
  try {
    await work(temporary)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function openssl(args: readonly string[]): Promise<void> {
  const result = await execa('openssl', args, { reject: false, timeout: 30_000 })
  if (result.exitCode === 0) return
  const missing = 'code' in result && result.code === 'ENOENT'
  if (missing) {
    throw new GibilError('missing_tool', 'openssl is not there, which makes the certificate of the E2B door.', {
      hint: 'Install it: apt-get install openssl.',
    })
  }
  throw new GibilError('host_unfit', `openssl could not make a certificate: ${result.stderr.slice(-300)}`)
}
