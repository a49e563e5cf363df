import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { root, type TestHome } from '../test/support/home.ts'
import { makePublicInternet, printed } from '../test/support/public-internet.ts'

const addresses = ['1.1.1.1', '8.8.8.8']
const name = 'connectivitycheck.gstatic.com'

/**
 * A double of the internet that the suite of E2B asks for, on a machine that has none or may not reach it. Sandboxes come to it by the same routes,
 * firewall and resolver as to the real one; the addresses are led to a network namespace, and until the end so they are for the whole machine.
 * What it answers with is trusted by the image `e2b` of this home alone. The daemon of the home is started anew, with a resolver that knows the name.
 */
export async function openInternet(home: TestHome): Promise<AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const work = join(home.path, 'internet')
  await mkdir(work)
  opened.defer(() => rm(work, { recursive: true, force: true }))
  const internet = opened.use(await makePublicInternet(addresses))
  const { authority, certificate, key } = await makeCertificate(work)
  const peers = join(root, 'scripts', 'e2b-internet-peers.ts')
  await printed(internet.start([process.execPath, peers, certificate, key, internet.address, name]), 'ready')
  await trust(home, authority)
  await restart(home, internet.address)
  return opened.move()
}

async function makeCertificate(work: string): Promise<{ authority: string; certificate: string; key: string }> {
  const at = (file: string): string => join(work, file)
  const made = { authority: at('authority.crt'), certificate: at('peers.crt'), key: at('peers.key') }
  const newKey = ['-x509', '-days', '2', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await execa('openssl', [
    ...['req', ...newKey, '-keyout', at('authority.key'), '-out', made.authority, '-subj', '/CN=double'],
    ...['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign'],
  ])
  const names = [...addresses.map((address) => `IP:${address}`), `DNS:${name}`].join(',')
  await execa('openssl', [
    ...['req', ...newKey, '-keyout', made.key, '-out', made.certificate, '-subj', '/CN=peer'],
    ...['-CA', made.authority, '-CAkey', at('authority.key'), '-addext', `subjectAltName=${names}`],
    ...['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'extendedKeyUsage=serverAuth'],
  ])
  return made
}

/** The image keeps its name, under which sandboxes are made of it. */
async function trust(home: TestHome, authority: string): Promise<void> {
  const context = join(home.path, 'internet', 'image')
  await mkdir(context)
  await execa('cp', [authority, join(context, 'authority.crt')])
  const recipe = 'FROM e2b\nCOPY authority.crt /usr/local/share/ca-certificates/\nRUN update-ca-certificates\n'
  await writeFile(join(context, 'Dockerfile'), recipe)
  const built = await home.gibil(['image', 'build', context, '--name', 'e2b'])
  if (built.exitCode !== 0) throw new Error(built.stderr)
}

/** A daemon asks the resolver that its resolv.conf names: this one sees another, and the rest of the machine the same as before. */
async function restart(home: TestHome, resolver: string): Promise<void> {
  const file = join(home.path, 'internet', 'resolv.conf')
  await writeFile(file, `nameserver ${resolver}\n`)
  await home.gibil(['down'])
  const within = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
  const up = [join(root, 'gibil'), 'up', '--daemon-only']
  await execa('unshare', ['--mount', 'sh', '-c', within, 'sh', file, ...up], {
    env: { GIBIL_HOME: home.path, GIBIL_POOL: '0' },
    cwd: root,
  })
}
