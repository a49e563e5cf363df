import type { ForkBoxes } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Defaults } from '../config/schema.ts'
import * as parse from './parse.ts'

/** The flags of the lease that a new box gets, however it is made, as commander gives them. */
export interface LeaseFlags {
  readonly ttl?: string
  readonly idle?: string
  readonly onExpire?: string
  readonly onIdle?: string
}

export const addLeaseOptions = (command: Command): Command =>
  command
    .option('--ttl <time>', 'time to live, such as 90m, 2h, 7d, or none (default 60m)')
    .option('--idle <time>', 'let it sleep after so long without connections, commands or work')
    .option('--on-expire <action>', 'at the end of the TTL: destroy, stop or pause (default destroy)')
    .option('--on-idle <action>', 'at the idle limit: pause, stop or destroy (default pause)')

const actions = ['destroy', 'stop', 'pause'] as const

/** Flags over the defaults of the config. */
export function leaseOptions(
  flags: LeaseFlags,
  defaults: Defaults,
): Pick<ForkBoxes, 'ttl' | 'idle' | 'onExpire' | 'onIdle'> {
  const ttl = flags.ttl ?? defaults.ttl
  const idle = flags.idle ?? defaults.idle
  const onExpire = flags.onExpire ?? defaults.onExpire
  const onIdle = flags.onIdle ?? defaults.onIdle
  return {
    ttl: ttl === undefined ? undefined : parse.duration(String(ttl), { none: true }),
    idle: idle === undefined ? undefined : parse.duration(String(idle)),
    onExpire:
      onExpire === undefined ? undefined : parse.oneOf(onExpire, actions, 'something that can happen at expiry'),
    onIdle: onIdle === undefined ? undefined : parse.oneOf(onIdle, actions, 'something that can happen to an idle box'),
  }
}
