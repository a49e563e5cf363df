import { compareAmounts, parseDuration, type Shape } from '@gibil/contract'
import type { Asked, Need } from './asked.ts'
import type { Trait } from './candidates.ts'
import { type Check, lease, room } from './checks.ts'

export interface Rule {
  readonly need: Need
  readonly when: (asked: Asked) => boolean
  /** The trait that is needed, a check of amounts, or `anything`: then the need is met by every box. */
  readonly takes: Trait | Check | 'anything'
  /** Follows "because". */
  readonly because: string
  /** What a box without the trait is told to lack. */
  readonly without?: string
}

const is =
  <K extends Need>(need: K, ...values: readonly Asked[K][]) =>
  (asked: Asked): boolean =>
    values.includes(asked[need])
const given =
  (need: Need) =>
  (asked: Asked): boolean =>
    asked[need] !== undefined

const sized = ({ size, cpu, memoryMib, diskMib }: Asked): boolean =>
  [size, cpu, memoryMib, diskMib].some((amount) => amount !== undefined)
const forNothing = ({ maxHourly }: Asked): boolean => maxHourly !== undefined && compareAmounts(maxHourly, '0') === 0

/** The table: what each need asks of a box. A box is recommended only if no row is against it. */
export const rules: readonly Rule[] = [
  {
    need: 'isolation',
    when: is('isolation', 'shared-kernel'),
    takes: 'anything',
    because: 'the kernel of this machine may be shared',
  },
  {
    need: 'isolation',
    when: is('isolation', 'own-kernel'),
    takes: 'own kernel',
    because: 'code that attacks meets a kernel of its own before that of this machine',
    without: 'shares the kernel of this machine',
  },
  {
    need: 'isolation',
    when: is('isolation', 'other-machine'),
    takes: 'other machine',
    because: 'what runs in it is not on this machine at all',
    without: 'runs on this machine',
  },
  {
    need: 'where',
    when: is('where', 'here'),
    takes: 'this machine',
    because: 'nothing leaves this machine',
    without: 'is in a data centre of Hetzner',
  },
  {
    need: 'where',
    when: is('where', 'own-cloud'),
    takes: 'own cloud',
    because: 'it is a server of your own project, under your own contract with the cloud',
    without: 'is on this machine and in no cloud account',
  },
  {
    need: 'location',
    when: given('location'),
    takes: 'own cloud',
    because: 'where a cloud keeps it can be named',
    without: 'is where this machine is',
  },
  { need: 'ttl', when: given('ttl'), takes: lease, because: 'it may live as long as is asked' },
  { need: 'size', when: sized, takes: room, because: 'it is as large as is asked' },
  {
    need: 'docker',
    when: is('docker', true),
    takes: 'Docker',
    because: 'dockerd needs a kernel of its own',
    without: 'cannot run Docker',
  },
  {
    need: 'services',
    when: is('services', 'command'),
    takes: 'anything',
    because: 'services that are command lines run in every box',
  },
  {
    need: 'services',
    when: is('services', 'image'),
    takes: 'Docker',
    because: 'services that are container images need Docker, which needs a kernel of its own',
    without: 'cannot run services that are container images',
  },
  {
    need: 'services',
    when: is('services', 'unit'),
    takes: 'systemd',
    because: 'units need systemd as the first process',
    without: 'has no systemd',
  },
  {
    need: 'publicAddress',
    when: is('publicAddress', true),
    takes: 'public address',
    because: 'it has an address of its own on the internet',
    without: 'is reached from this machine only',
  },
  {
    need: 'workstation',
    when: is('workstation', true),
    takes: 'systemd',
    because: 'the workstation is a whole system: its databases are units, and Docker runs in it',
    without: 'has no systemd, which the workstation needs',
  },
  {
    need: 'agent',
    when: is('agent', 'claude', 'codex', 'gemini', 'opencode'),
    takes: 'anything',
    because: 'this agent is a program of npm, and Node is in every image of ours',
  },
  {
    need: 'embed',
    when: is('embed', true),
    takes: 'own kernel',
    because: 'code of the users of a product is code that attacks',
    without: 'shares the kernel of this machine',
  },
  {
    need: 'embed',
    when: is('embed', true),
    takes: 'short runs',
    because: 'a run of seconds takes a box that may live for seconds',
    without: 'lives 15m at least',
  },
  {
    need: 'maxHourly',
    when: forNothing,
    takes: 'costs nothing',
    because: 'boxes of this machine cost nothing',
    without: 'costs money by the hour',
  },
  {
    need: 'cloudInit',
    when: is('cloudInit', true),
    takes: 'cloud-init',
    because: 'cloud-init runs in a full machine',
    without: 'has no cloud-init',
  },
]

/** Which of several that would do is taken before lighter ones. */
export interface Preference {
  readonly need: Need
  readonly when: (asked: Asked) => boolean
  readonly shape: Shape
  readonly because: string
}

const dayMs = 86_400_000
const needsKernel = (asked: Asked): boolean =>
  asked.isolation === 'own-kernel' || asked.docker === true || asked.services === 'image'
const forDays = ({ ttl }: Asked): boolean => ttl !== undefined && ttl !== 'none' && parseDuration(ttl) >= dayMs

export const preferences: readonly Preference[] = [
  {
    need: 'workstation',
    when: is('workstation', true),
    shape: 'vm',
    because: 'a workstation is a whole system: systemd, an SSH server and Docker run in it',
  },
  {
    need: 'agent',
    when: is('agent', 'any'),
    shape: 'vm',
    because: 'an agent that nobody knows yet lacks nothing in a whole system: systemd, Docker, an SSH server',
  },
  {
    need: 'ttl',
    when: (asked) => needsKernel(asked) && forDays(asked),
    shape: 'vm',
    because: 'for a day or longer a whole system is better: systemd starts anew what dies, and keeps its logs',
  },
]
