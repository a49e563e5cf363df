/**
 * Capabilities of a box's root. They hold in the box's user namespace only (capabilities(7)): none of them gives power over the host,
 * and over the box's network, which the host owns, none of them gives power at all.
 *
 * NET_RAW and NET_BIND_SERVICE are without effect there, but a program whose file asks for one (ping, many servers) cannot be
 * executed where it is missing. SYS_PTRACE lets root in the box use debuggers on, and see the ports of, the box's other users.
 */
export const boxCapabilities = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
] as const
