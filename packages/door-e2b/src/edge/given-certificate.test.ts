import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Certificate, provideCertificate } from './certificate.ts'
import { checkGiven, forgetGiven, keepGiven, readGiven } from './given-certificate.ts'

let dir: string
let good: Certificate
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-given-'))
  good = await provideCertificate(join(dir, 'own'), 'box.test')
})
afterAll(() => rm(dir, { recursive: true }))

/** Signed by itself, for names and days of our choice. */
async function make(names: string, days: readonly string[], passphrase = false): Promise<Certificate> {
  const [key, cert] = [join(dir, 'k.pem'), join(dir, 'c.pem')]
  const secret = passphrase ? ['-passout', 'pass:secret'] : ['-nodes']
  await execa('openssl', [
    ...[
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      ...secret,
      '-keyout',
      key,
      '-out',
      cert,
    ],
    ...['-subj', '/CN=t', '-addext', `subjectAltName=${names}`, ...days],
  ])
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }
}

test('one that fits is taken, with a port in the domain or without', () => {
  expect(() => checkGiven(good, 'box.test')).not.toThrow()
  expect(() => checkGiven(good, 'box.test:7443')).not.toThrow()
})

test('one that does not is refused with the reason', async () => {
  const other = await make('DNS:*.box.test', [])
  const passed = await make('DNS:*.box.test', ['-days', '1'], true)
  const refused = (certificate: Certificate, why: RegExp, domain = 'box.test') =>
    expect(() => checkGiven(certificate, domain)).toThrowError(
      expect.objectContaining({ code: 'invalid_request', message: expect.stringMatching(why) }),
    )
  refused({ cert: good.cert, key: other.key }, /not that of the certificate/)
  refused(good, /not for \*\.other\.test: its names are .*DNS:\*\.box\.test/, 'other.test')
  refused(good, /not for/, 'deeper.box.test')
  refused(await make('DNS:box.test', []), /not for/)
  refused({ cert: 'nothing', key: good.key }, /certificate cannot be read/)
  refused({ cert: good.cert, key: 'nothing' }, /key cannot be read/)
  refused(passed, /key cannot be read/)
  refused(await expired(), /has ended on/)
})

/** openssl req cannot date back, so it is the one of an authority that can. */
async function expired(): Promise<Certificate> {
  const at = (name: string): string => join(dir, name)
  const { key } = await make('DNS:*.box.test', [])
  await execa('openssl', ['req', '-new', '-key', at('k.pem'), '-subj', '/CN=t', '-out', at('csr')])
  await execa('sh', ['-c', 'printf "subjectAltName=DNS:*.box.test" >ext; : >index; echo 01 >serial'], { cwd: dir })
  const config =
    '[ca]\ndefault_ca=a\n[a]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n'
  await execa('sh', ['-c', 'cat >ca.conf'], { cwd: dir, input: config })
  await execa(
    'openssl',
    [
      ...['ca', '-batch', '-config', 'ca.conf', '-in', 'csr', '-keyfile', 'k.pem', '-selfsign', '-extfile', 'ext'],
      ...['-startdate', '20200101000000Z', '-enddate', '20210101000000Z', '-out', 'old.pem'],
    ],
    { cwd: dir },
  )
  return { cert: await readFile(at('old.pem'), 'utf8'), key }
}

test('it is kept for its owner alone, comes back as it was, and goes', async () => {
  const home = join(dir, 'home')
  expect(await readGiven(home)).toBeUndefined()
  await keepGiven(home, good)
  expect((await stat(join(home, 'given.pem'))).mode & 0o777).toBe(0o600)
  const back = await readGiven(home)
  expect({ cert: back?.cert.trim(), key: back?.key.trim() }).toEqual({ cert: good.cert.trim(), key: good.key.trim() })
  await forgetGiven(home)
  expect(await readGiven(home)).toBeUndefined()
})
