import { execFile, execFileSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeHome, type TestHome } from '../../../test/support/home.ts'

const exec = promisify(execFile)

let home: TestHome
let dir: string

beforeAll(async () => {
  home = await makeHome()
  dir = await mkdtemp(join(tmpdir(), 'gibil-ssh-'))
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  await must('create', '--name', 'w')
})
afterAll(async () => {
  await home?.[Symbol.asyncDispose]()
  if (dir) await rm(dir, { recursive: true, force: true })
})

const gibil = (...args: string[]) => home.gibil(args, { cwd: dir, env: { HOME: dir } })
async function must(...args: string[]): Promise<string> {
  const result = await gibil(...args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}`).toBe(0)
  return result.stdout
}
/** Stock OpenSSH with the config that was written, and nothing else of this machine. */
const config = (): string => join(home.path, 'ssh/config')
const openssh = (program: string, ...args: string[]) =>
  exec(program, ['-F', config(), ...args], { env: { PATH: process.env['PATH'], HOME: dir } })

/** The sshd of this machine in a box, with the libraries that it was linked with; the base image is of the same release of Debian. */
async function giveSshd(box: string): Promise<void> {
  const bag = join(dir, 'sshd')
  await mkdir(bag)
  const programs = ['/usr/sbin/sshd', '/usr/lib/openssh/sftp-server']
  const linked = execFileSync('ldd', programs, { encoding: 'utf8' })
  const libraries = [...linked.matchAll(/=> (\/\S+)/g)].flatMap(([, path]) => path ?? [])
  for (const file of new Set([...programs, ...libraries])) await copyFile(file, join(bag, basename(file)))
  await writeFile(
    join(bag, 'start'),
    `set -e
cd /opt/sshd && chmod 755 sshd sftp-server
for lib in *.so*; do [ -e "/lib/x86_64-linux-gnu/$lib" ] || cp "$lib" /lib/x86_64-linux-gnu/; done
id sshd >/dev/null 2>&1 || useradd -r -d /run/sshd -s /usr/sbin/nologin sshd
mkdir -p /run/sshd /etc/ssh && chmod 755 /run/sshd
# Apart from what is shown of it, which a test changes: sshd complains to its client of a file that does not fit.
ssh-keygen -q -t ed25519 -N '' -f /opt/sshd/host-key
cp /opt/sshd/host-key.pub /etc/ssh/ssh_host_ed25519_key.pub
# Without PAM, sshd takes a password that is locked for an account that is.
usermod -p '*' agent && usermod -p '*' root
/opt/sshd/sshd -f /dev/null -o HostKey=/opt/sshd/host-key -o Subsystem='sftp /opt/sshd/sftp-server' -o UsePAM=no -o PasswordAuthentication=no
`,
  )
  await must('cp', bag, `${box}:/opt/`, '--user', 'root')
  await must('run', box, '--user', 'root', '--', 'sh', '/opt/sshd/start')
}

test('stock ssh, scp and sftp reach a box by a config of ours, and know its host key beforehand', async () => {
  await giveSshd('w')
  expect(await must('ssh', 'w', '--', 'id', '-un;', 'exit', '0')).toBe('agent\n')
  expect((await gibil('ssh', 'w', '--', 'exit 7')).exitCode).toBe(7)
  expect(await must('ssh', 'w', '--user', 'root', '--', 'id', '-u')).toBe('0\n')

  await writeFile(join(dir, 'big'), Buffer.alloc(3_000_000, 'gibil'))
  await must('ssh-config')
  await openssh('scp', join(dir, 'big'), 'w:there')
  await openssh('scp', 'w.gibil:there', join(dir, 'back'))
  expect((await readFile(join(dir, 'back'))).equals(await readFile(join(dir, 'big')))).toBe(true)
  // The key is put there once, and only its owner can write it.
  expect(await must('run', 'w', 'wc -l < ~/.ssh/authorized_keys; stat -c "%U %a" ~/.ssh/authorized_keys')).toBe(
    '1\nagent 600\n',
  )
  // A paused box wakes.
  await must('pause', 'w')
  expect((await openssh('ssh', 'w', 'echo awake')).stdout).toBe('awake\n')
})

test('a host key other than the one that boxd read is refused', async () => {
  const swap = 'ssh-keygen -q -t ed25519 -N "" -f /tmp/k && cp /tmp/k.pub /etc/ssh/ssh_host_ed25519_key.pub'
  await must('run', 'w', '--user', 'root', swap)
  await expect(openssh('ssh', 'w', 'true')).rejects.toMatchObject({
    code: 255,
    stderr: expect.stringMatching(/Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/),
  })
})

test('one line of the own config is put in and taken out, and the rest stays', async () => {
  await mkdir(join(dir, '.ssh'), { mode: 0o700 })
  const path = join(dir, '.ssh/config')
  await writeFile(path, 'Host other\n  User me\n', { mode: 0o644 })
  await must('ssh-config', '--install')
  await must('ssh-config', '--install')
  expect(await readFile(path, 'utf8')).toBe(`Include "${config()}"\nHost other\n  User me\n`)
  expect((await stat(path)).mode & 0o777).toBe(0o644)
  const asked = await exec('ssh', ['-F', path, '-G', 'any.gibil'])
  expect(asked.stdout).toContain('stricthostkeychecking true')
  expect((await exec('ssh', ['-F', path, '-G', 'other'])).stdout).toContain('user me\n')
  await must('ssh-config', '--uninstall')
  expect(await readFile(path, 'utf8')).toBe('Host other\n  User me\n')
})
