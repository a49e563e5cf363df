import type { Readable } from 'node:stream'
import {
  Box,
  Budget,
  type BudgetLimits,
  Choice,
  CostReport,
  type Event,
  Fleet,
  type Fork,
  type ForkBoxes,
  Health,
  HostCheck,
  type ImportBox,
  type Needs,
  SshState,
  SweepResult,
  TopEntry,
  Version,
} from '@gibil/contract'
import * as z from 'zod'
import { type Adoption, createAdoption } from './adopt.ts'
import { type BoxHandle, createBoxHandle } from './box/box.ts'
import type { ConnectOptions, Endpoint } from './connect/locate.ts'
import { createTransport } from './connect/transport.ts'
import { type CreateOptions, createBox, type OwnedBox } from './create/create.ts'
import { createFleet, type FleetOptions } from './create/fleet.ts'
import { createE2b, type E2b } from './e2b.ts'
import { type EventsOptions, watchEvents } from './events.ts'
import { createImages, type Images, type LongCallOptions } from './images.ts'
import { importBox } from './import-box.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { createSnapshots, forkBoxes, type Snapshots } from './snapshots.ts'
import { createTokens, type Tokens } from './tokens.ts'
import { createVolumes, type Volumes } from './volumes.ts'

interface Cancel {
  readonly signal?: AbortSignal | undefined
}

/** A daemon and its boxes. */
export interface Gibil extends AsyncDisposable {
  /** Where the daemon is looked for. */
  endpoint(): Promise<Endpoint>
  /** Makes a box and waits until it is ready, or as far as `wait` says. With `await using` it is destroyed at the end of the block. */
  create(input?: CreateOptions, options?: LongCallOptions): Promise<OwnedBox>
  /** A handle without asking whether there is such a box. */
  box(ref: string): BoxHandle
  /** Throws `box_not_found`. */
  get(ref: string, options?: Cancel): Promise<BoxHandle>
  /** Oldest first. */
  list(options?: Cancel & { readonly fleet?: string | undefined }): Promise<Box[]>
  readonly fleets: Fleets
  /**
   * Makes boxes that begin as a box is now, or as a snapshot is; their set-up is not run again. With `count`, those that fail are told in
   * `failures`. When aborted, all are destroyed.
   */
  fork(input: ForkBoxes, options?: LongCallOptions): Promise<Fork>
  /**
   * Makes a box of the file of an exported one; `wish`: what is to be another than there. Of a file that is not whole nothing is kept. Throws
   * `box_file_invalid`, `name_in_use`, `unsupported_by_shape`.
   */
  import(file: Readable, wish?: ImportBox, options?: LongCallOptions): Promise<BoxHandle>
  /** Agents at their tasks in boxes. */
  readonly sessions: Sessions
  readonly snapshots: Snapshots
  readonly images: Images
  readonly volumes: Volumes
  readonly tokens: Tokens
  readonly adoption: Adoption
  readonly e2b: E2b
  events(options?: EventsOptions): AsyncIterable<Event>
  /** What running boxes use now. */
  top(options?: Cancel): Promise<TopEntry[]>
  /** Which box some needs are met by, why, and what it costs; makes nothing. Throws `contradictory_needs`. */
  choose(needs?: Needs, options?: Cancel): Promise<Choice>
  /** What boxes of clouds have cost, by box and by day. */
  cost(options?: Cancel): Promise<CostReport>
  /** What boxes of clouds may cost from now on; answers what of it is left. For the administrator only. */
  setBudget(limits: BudgetLimits, options?: Cancel): Promise<Budget>
  /** Removes remains of boxes that nobody knows. */
  sweep(options?: Cancel): Promise<SweepResult>
  health(options?: Cancel): Promise<Health>
  version(options?: Cancel): Promise<Version>
  /** Where stock clients of ssh reach boxes, and by which host key. */
  ssh(options?: Cancel): Promise<SshState>
  /** What boxes need of the daemon's host, and what of it is there. */
  checks(options?: Cancel): Promise<HostCheck[]>
  /** Stops the daemon; boxes go on running. */
  shutdown(options?: Cancel): Promise<void>
  /** Lets go of the connections. */
  close(): void
}

/** Several boxes made in one call. */
export interface Fleets {
  create(input: FleetOptions, options?: LongCallOptions): Promise<Fleet>
  get(id: string, options?: Cancel): Promise<Fleet>
  /** Destroys all its boxes, and gives them back as they were. */
  destroy(id: string, options?: LongCallOptions): Promise<Box[]>
}

function connect(options: ConnectOptions = {}): Gibil {
  const transport = createTransport(options)
  const gibil: Gibil = {
    endpoint: () => transport.endpoint(),
    create: (input, callOptions) => createBox(transport, input, callOptions),
    box: (ref) => createBoxHandle(transport, ref),
    async get(ref, { signal } = {}) {
      const handle = createBoxHandle(transport, ref)
      const info = await handle.refresh({ signal })
      return createBoxHandle(transport, info.id, info)
    },
    list: ({ fleet, signal } = {}) => transport.call(z.array(Box), 'GET', '/boxes', { query: { fleet }, signal }),
    fleets: {
      create: (input, callOptions) => createFleet(transport, input, callOptions),
      get: (id, { signal } = {}) => transport.call(Fleet, 'GET', `/fleets/${encodeURIComponent(id)}`, { signal }),
      destroy: (id, { signal } = {}) =>
        transport.call(z.array(Box), 'DELETE', `/fleets/${encodeURIComponent(id)}`, { signal }),
    },
    fork: (input, callOptions) => forkBoxes(transport, input, callOptions),
    async import(file, wish, callOptions) {
      const box = await importBox(transport, file, wish, callOptions)
      return createBoxHandle(transport, box.id, box)
    },
    sessions: createSessions(transport),
    snapshots: createSnapshots(transport),
    images: createImages(transport),
    volumes: createVolumes(transport),
    tokens: createTokens(transport),
    adoption: createAdoption(transport),
    e2b: createE2b(transport),
    events: (eventOptions) => watchEvents(transport, eventOptions),
    top: (callOptions = {}) => transport.call(z.array(TopEntry), 'GET', '/top', callOptions),
    choose: (needs = {}, { signal } = {}) => transport.call(Choice, 'POST', '/choose', { body: needs, signal }),
    cost: (callOptions = {}) => transport.call(CostReport, 'GET', '/cost', callOptions),
    setBudget: (body, callOptions = {}) => transport.call(Budget, 'PUT', '/budget', { body, ...callOptions }),
    sweep: (callOptions = {}) => transport.call(SweepResult, 'POST', '/sweep', callOptions),
    health: (callOptions = {}) => transport.call(Health, 'GET', '/health', callOptions),
    version: (callOptions = {}) => transport.call(Version, 'GET', '/version', callOptions),
    ssh: (callOptions = {}) => transport.call(SshState, 'GET', '/ssh', callOptions),
    checks: (callOptions = {}) => transport.call(z.array(HostCheck), 'GET', '/checks', callOptions),
    shutdown: (callOptions = {}) => transport.send('POST', '/shutdown', callOptions),
    close: () => transport.close(),
    async [Symbol.asyncDispose]() {
      transport.close()
    },
  }
  return gibil
}

/** The entry to the SDK. Connecting is lazy: a daemon that is not there is met by the first call, as `daemon_unreachable`. */
export const Gibil = { connect }
