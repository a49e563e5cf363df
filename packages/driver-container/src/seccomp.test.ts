import { expect, it } from 'vitest'
import { seccompProfile } from './seccomp.ts'

const profile = seccompProfile('x64')
const freely = new Set(
  profile.syscalls
    .filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && rule.args === undefined)
    .flatMap((rule) => rule.names),
)

it.each([
  'mount',
  'umount2',
  'move_mount',
  'fsopen',
  'open_tree',
  'mount_setattr',
  'pivot_root',
  'setns',
  'unshare',
  'clone',
  'clone3',
  'keyctl',
  'add_key',
  'request_key',
  'bpf',
  'perf_event_open',
  'kexec_load',
  'kexec_file_load',
  'init_module',
  'finit_module',
  'delete_module',
  'userfaultfd',
  'io_uring_setup',
  'open_by_handle_at',
  'swapon',
  'reboot',
  'acct',
  'quotactl',
  'settimeofday',
  'clock_settime',
  'iopl',
  'ioperm',
  'socket',
  'personality',
  'syslog',
  'fanotify_init',
  'lookup_dcookie',
  'sethostname',
])('does not let %s through without a look at its arguments', (name) => {
  expect(freely.has(name)).toBe(false)
})

it.each([
  'read',
  'openat2',
  'execve',
  'ptrace',
  'futex',
  'statx',
  'chroot',
  'memfd_create',
  'setuid',
  'capset',
  'sendfile',
])('lets %s through', (name) => {
  expect(freely.has(name)).toBe(true)
})

it('names no call twice and refuses by default', () => {
  const names = profile.syscalls.filter((rule) => rule.args === undefined).flatMap((rule) => rule.names)
  expect(new Set(names).size).toBe(names.length)
  expect(profile.defaultAction).toBe('SCMP_ACT_ERRNO')
  expect(profile.architectures).toEqual(['SCMP_ARCH_X86_64'])
  expect(() => seccompProfile('mips')).toThrow()
})
