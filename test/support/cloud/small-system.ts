import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { makeSmallTree } from '../small-image.ts'

/** What `init.sh`, our user data, boxd's installation and whoever logs in need of a system. */
const programs = [
  ...['sh', 'bash', 'cat', 'chmod', 'chown', 'cp', 'cut', 'date', 'dd', 'echo', 'env', 'false', 'flock', 'getent'],
  ...['grep', 'gzip', 'head', 'hostname', 'id', 'kill', 'ln', 'ls', 'mkdir', 'mktemp', 'mv', 'readlink', 'rm', 'sed'],
  ...['setsid', 'sha256sum', 'sleep', 'sort', 'stat', 'tail', 'tar', 'tee', 'touch', 'true', 'uname', 'wc'],
  ...['/usr/bin/sudo', '/usr/sbin/ldconfig', '/usr/sbin/sshd', '/usr/sbin/useradd', '/usr/sbin/userdel'],
  ...['/usr/sbin/usermod', '/usr/libexec/sudo/sudoers.so', '/usr/libexec/sudo/libsudo_util.so.0'],
  '/lib/x86_64-linux-gnu/security/pam_permit.so',
]

const files = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/bin/false\n',
  'etc/group': 'root:x:0:\nnogroup:x:65534:\n',
  'etc/shadow': 'root:*:20000::::::\nsshd:!:20000::::::\n',
  'etc/login.defs': 'USERGROUPS_ENAB yes\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nshadow: files\n',
  'etc/ssh/sshd_config': 'Include /etc/ssh/sshd_config.d/*.conf\n',
  'etc/sudoers': 'root ALL=(ALL) ALL\n@includedir /etc/sudoers.d\n',
  'etc/pam.d/sudo': ['auth', 'account', 'session'].map((kind) => `${kind} required pam_permit.so\n`).join(''),
}

/** Makes what a machine of a cloud has on its disk, of a few megabytes: an SSH server, sudo, and what goes with them. For tests that carry all of a machine about. */
export async function makeSmallSystem(tree: string): Promise<void> {
  await makeSmallTree(tree, programs)
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true })
    await writeFile(join(tree, path), text)
  }
  for (const path of ['etc/sudoers.d', 'etc/systemd/system', 'usr/local/bin', 'var/log', 'var/tmp'])
    await mkdir(join(tree, path), { recursive: true })
  await execa('chmod', ['640', join(tree, 'etc/shadow')])
  await execa('chmod', ['4755', join(tree, 'usr/bin/sudo')])
}
