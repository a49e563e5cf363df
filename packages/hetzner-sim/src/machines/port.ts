import type { Inbound } from './admission.ts'

/** What a machine is made of. It says the same of a server each time. */
export interface MachineSpec {
  /** The server's id, which is the machine's serial number and cloud-init's instance id. */
  readonly id: number
  readonly name: string
  readonly cores: number
  /** Gigabytes, each of 2^30 bytes. */
  readonly memory: number
  readonly disk: number
  readonly architecture: 'x86' | 'arm'
  readonly location: string
  readonly image: { readonly id: number; readonly name: string | null }
  readonly ipv4: string | null
  readonly ipv6: string | null
  readonly userData: string
  /** Public keys that may log in as root at the first boot. */
  readonly sshKeys: readonly string[]
  readonly rootPassword: string | null
  /** What its firewalls let in when it boots. */
  readonly inbound: Inbound
}

/**
 * What stands behind servers. Every verb may be repeated and may be called for a machine that is not there. What throws
 * makes the action of the API end with the error `action_failed` and this message.
 */
export interface Machines {
  /** An address that the host can reach and that is none of `taken`. Throws when there is none left. */
  freeIpv4(taken: ReadonlySet<string>): string
  /** Starts it, from a disk made of its image the first time. Returns as soon as it runs, before it has booted. */
  boot(spec: MachineSpec): Promise<void>
  /** Ends it at once, as if the power were cut. */
  powerOff(id: number): Promise<void>
  /** Presses its power button and returns. It is off when `onOff` says so. */
  shutdown(id: number): Promise<void>
  /** Starts it again at once, without asking it. */
  reset(id: number): Promise<void>
  /** Ends it and removes its disk. */
  remove(id: number): Promise<void>
  /** From now on it is to be reached by what its firewalls let in. */
  admit(id: number, inbound: Inbound): Promise<void>
  /** Keeps its disk as an image; returns the size in gigabytes that it is billed for. */
  image(id: number, image: number): Promise<number>
  removeImage(image: number): Promise<void>
  /** Whether it runs. `ranBefore`: whether it did when a simulator that has ended last knew. */
  isRunning(id: number, ranBefore: boolean): Promise<boolean>
  /** Who is told when a machine goes off by itself, or after `shutdown`. */
  onOff(listener: (id: number) => void): void
  /** Leaves machines that run as they are. */
  close(): Promise<void>
}
