/**
 * Which system calls a box may make: an allow list, so that a call which is new in the kernel is refused until somebody has thought about it.
 * Refused are those that change the host's view of the world (mounts, namespaces, modules, clocks, keys, accounting) and those
 * that open much kernel code to a program (bpf, perf, io_uring, userfaultfd, AF_ALG, AF_VSOCK).
 *
 * The format is that of the OCI runtime specification 1.0.2, `linux.seccomp`. Names that the runtime's libseccomp does not know are
 * skipped by it.
 */

interface SeccompArg {
  readonly index: number
  readonly value: number
  readonly valueTwo?: number
  readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_MASKED_EQ'
}

interface SeccompRule {
  readonly names: readonly string[]
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO'
  readonly errnoRet?: number
  readonly args?: readonly SeccompArg[]
}

export interface Seccomp {
  readonly defaultAction: 'SCMP_ACT_ERRNO'
  readonly defaultErrnoRet: number
  readonly architectures: readonly string[]
  readonly syscalls: readonly SeccompRule[]
}

const EPERM = 1
const ENOSYS = 38

const words = (text: string) => text.trim().split(/\s+/)

const allowed: Readonly<Record<string, readonly string[]>> = {
  files: words(`
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
    fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync flock fstat fstatfs fsync ftruncate futimesat getcwd getdents
    getdents64 ioctl lchown link linkat lseek lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2
    pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat renameat2 rmdir
    sendfile splice stat statfs statx symlink symlinkat sync sync_file_range sync_file_range2 syncfs tee truncate umask unlink unlinkat utime
    utimensat utimes vmsplice write writev chroot
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch fanotify_mark
    fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr lremovexattr lsetxattr removexattr setxattr
    getxattrat listxattrat removexattrat setxattrat cachestat
    landlock_add_rule landlock_create_ruleset landlock_restrict_self`),
  memory: words(`
    brk get_mempolicy madvise map_shadow_stack mbind membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mprotect mremap
    mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_madvise process_mrelease remap_file_pages
    set_mempolicy set_mempolicy_home_node`),
  processes: words(`
    execve execveat exit exit_group fork vfork wait4 waitid pidfd_getfd pidfd_open pidfd_send_signal kill tkill tgkill
    capget capset getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage
    getsid gettid getuid ioprio_get ioprio_set prctl prlimit64 ptrace process_vm_readv process_vm_writev kcmp seccomp
    setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid
    arch_prctl modify_ldt get_robust_list get_thread_area rseq set_robust_list set_thread_area set_tid_address getcpu sysinfo times uname
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield`),
  waiting: words(`
    alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep pause setitimer time
    timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
    adjtimex clock_adjtime
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
    futex futex_requeue futex_wait futex_waitv futex_wake poll ppoll pselect6 restart_syscall select
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo
    sigaltstack signalfd signalfd4
    io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit`),
  communication: words(`
    accept accept4 bind connect getpeername getsockname getsockopt listen pipe pipe2 recvfrom recvmmsg recvmsg sendmmsg sendmsg
    sendto setsockopt shutdown socketpair
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd
    semctl semget semop semtimedop shmat shmctl shmdt shmget`),
  randomness: ['getrandom'],
}

/** CLONE_NEW* flags of linux/sched.h together: cgroup, uts, ipc, user, pid, net and mount namespace. */
const newNamespaces = 0x7e02_0000
/** Address families of linux/socket.h: unix, IPv4, IPv6, netlink. Others (vsock reaches the host under a hypervisor) are refused. */
const families = [1, 2, 10, 16]
/** linux/personality.h: Linux, Linux 32 bit, both with UNAME26, none but asking, and without address randomisation (debuggers). */
const personalities = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff, 0x4_0000]

const equals = (name: string, values: readonly number[]): SeccompRule[] =>
  values.map((value) => ({
    names: [name],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }],
  }))

const withoutNamespaces = (name: string): SeccompRule => ({
  names: [name],
  action: 'SCMP_ACT_ALLOW',
  args: [{ index: 0, value: newNamespaces, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
})

/** libseccomp's names of the architectures that Node calls so. 32-bit programs are not let in: `socketcall` would get past the rule on families. */
const architectures: Readonly<Record<string, string>> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' }

/** The profile for boxes on a host with this `process.arch`. */
export function seccompProfile(arch: string): Seccomp {
  const architecture = architectures[arch]
  if (architecture === undefined) throw new Error(`no seccomp profile for the architecture ${arch}`)
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: [architecture],
    syscalls: [
      { names: Object.values(allowed).flat(), action: 'SCMP_ACT_ALLOW' },
      // glibc asks for clone3 first, whose flags lie in memory where no filter can see them, and falls back to clone on ENOSYS.
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
      // Programs that know io_uring do without it when the kernel says that it has none.
      { names: ['io_uring_enter', 'io_uring_register', 'io_uring_setup'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
      withoutNamespaces('clone'),
      withoutNamespaces('unshare'),
      ...equals('socket', families),
      ...equals('personality', personalities),
    ],
  }
}
