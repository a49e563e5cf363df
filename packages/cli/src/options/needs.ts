import { agents, type ErrorCode, type Needs } from '@gibil/sdk'
import type { Command } from 'commander'
import { amountOfMoney } from './cloud.ts'
import * as parse from './parse.ts'

/** The flags of `choose` as commander gives them. */
export interface NeedsFlags {
  readonly isolation?: string
  readonly where?: string
  readonly location?: string
  readonly ttl?: string
  readonly size?: string
  readonly cpu?: string
  readonly memory?: string
  readonly disk?: string
  readonly docker?: boolean
  readonly services?: string
  readonly publicAddress?: boolean
  readonly workstation?: boolean
  readonly agent?: string
  readonly embed?: boolean
  readonly maxHourly?: string
}

const barriers = ['shared-kernel', 'own-kernel', 'other-machine'] as const

export const addNeedsOptions = (command: Command): Command =>
  command
    .option('--isolation <barrier>', 'between the box and this machine: shared-kernel, own-kernel or other-machine')
    .option('--where <where>', 'here: nothing leaves this machine; own-cloud: in a cloud account of your own')
    .option('--location <name>', 'a location of the cloud, such as fsn1, where rules say so')
    .option('--ttl <time>', 'how long it is to live, such as 90m, 7d, or none')
    .option('--size <size>', 'small 2 cpu/4 GiB, medium 4/8, large 8/16')
    .option('--cpu <n>', 'cpus, such as 2 or 0.5')
    .option('--memory <amount>', 'such as 512M or 4G')
    .option('--disk <amount>', 'such as 10G')
    .option('--docker', 'Docker in it')
    .option('--services <services>', 'as in .gibil.yml: command, image (of containers) or unit (of systemd)')
    .option('--public-address', 'an address of its own on the internet')
    .option('--workstation', 'a machine that is ready for any work')
    .option('--agent <agent>', 'which works in it: claude, codex, gemini, opencode, or any')
    .option('--embed', 'short runs of code of others, inside a product')
    .option('--max-hourly <amount>', 'what an hour may cost, such as 0.05; 0: nothing')

/** The needs that flags say, checked as far as they can be checked here. */
export function needsOf(flags: NeedsFlags): Needs {
  const one = <const T extends string>(
    text: string | undefined,
    choices: readonly T[],
    what: string,
    code?: ErrorCode,
  ): T | undefined => (text === undefined ? undefined : parse.oneOf(text, choices, what, code))
  const needs: { [K in keyof Needs]: Needs[K] | undefined } = {
    isolation: one(flags.isolation, barriers, 'something that can stand between a box and this machine'),
    where: one(flags.where, ['here', 'own-cloud'], 'a place'),
    location: flags.location,
    ttl: flags.ttl === undefined ? undefined : parse.duration(flags.ttl, { none: true }),
    size: one(flags.size, ['small', 'medium', 'large'], 'a size', 'invalid_size'),
    cpu: flags.cpu === undefined ? undefined : parse.cpus(flags.cpu),
    memoryMib: flags.memory === undefined ? undefined : parse.mebibytes(flags.memory),
    diskMib: flags.disk === undefined ? undefined : parse.mebibytes(flags.disk),
    docker: flags.docker,
    services: one(flags.services, ['command', 'image', 'unit'], 'a kind of services'),
    publicAddress: flags.publicAddress,
    workstation: flags.workstation,
    agent: one(flags.agent, agents, 'an agent that is known'),
    embed: flags.embed,
    maxHourly: flags.maxHourly === undefined ? undefined : amountOfMoney(flags.maxHourly),
  }
  return Object.fromEntries(Object.entries(needs).filter(([, value]) => value !== undefined)) as Needs
}
