import type { Provider, Shape } from '@gibil/contract'

/** What a box has or has not by its shape and provider, whatever is in it. */
export type Trait =
  | 'own kernel'
  | 'this machine'
  | 'other machine'
  | 'own cloud'
  | 'public address'
  | 'Docker'
  | 'systemd'
  | 'cloud-init'
  | 'short runs'
  | 'costs nothing'

export interface Candidate {
  readonly shape: Shape
  readonly provider: Provider
  /** As in "a vm at Hetzner". */
  readonly name: string
  readonly has: readonly Trait[]
  /** What speaks against it where a lighter one does as well. */
  readonly burden: string
  /** MiB without which its kernel does not boot (packages/driver-qemu/src/model.ts). */
  readonly leastMemoryMib: number
}

/** Every box that can be made, the lightest first: of those that have what is needed, the first is taken. The table in docs/choosing.md is this one. */
export const candidates: readonly Candidate[] = [
  {
    shape: 'container',
    provider: 'local',
    name: 'a container',
    has: ['this machine', 'short runs', 'costs nothing'],
    burden: 'shares the kernel of this machine',
    leastMemoryMib: 16,
  },
  {
    shape: 'microvm',
    provider: 'local',
    name: 'a microvm',
    has: ['own kernel', 'this machine', 'Docker', 'short runs', 'costs nothing'],
    burden: 'takes tens of MiB of memory before anything runs in it, and begins later than a container',
    leastMemoryMib: 192,
  },
  {
    shape: 'vm',
    provider: 'local',
    name: 'a vm',
    has: ['own kernel', 'this machine', 'Docker', 'systemd', 'cloud-init', 'costs nothing'],
    burden: 'runs a whole system, begins in seconds and is to have an end',
    leastMemoryMib: 512,
  },
  {
    shape: 'vm',
    provider: 'hetzner',
    name: 'a vm at Hetzner',
    has: ['own kernel', 'other machine', 'own cloud', 'public address', 'Docker', 'systemd', 'cloud-init'],
    burden: 'costs money by the hour, and its machine has to boot first',
    leastMemoryMib: 512,
  },
]
