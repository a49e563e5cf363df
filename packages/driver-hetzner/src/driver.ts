import { hostname } from 'node:os'
import type { Duplex } from 'node:stream'
import { GibilError } from '@gibil/contract'
import type { Driver } from '@gibil/core'
import { assertBoxId, createKeyedLock, type Log } from '@gibil/host'
import { bake } from './bake.ts'
import { bakedImages, removeBaked } from './baked.ts'
import { openBoxFiles } from './box-files.ts'
import { createCatalog } from './catalog.ts'
import { createClient } from './client/client.ts'
import { type Pace, realPace } from './client/pace.ts'
import type { Context, OpenLink } from './context.ts'
import { create } from './create.ts'
import { setDeadline } from './deadline.ts'
import { addressOf, findServer } from './find.ts'
import { toFound } from './found.ts'
import { findImages } from './images.ts'
import { labelNames, labelValue, ofBox } from './labels.ts'
import { createLinks } from './links.ts'
import { plan } from './plan.ts'
import { start, stop } from './power.ts'
import { checkProject } from './project.ts'
import { relabel } from './relabel.ts'
import { removeBox } from './remove.ts'
import { createSharedLook } from './shared-look.ts'
import type { Step } from './steps.ts'
import { homeOf, isOf, look, toDriverBox } from './survey.ts'
import { sweepExpired } from './sweep.ts'
import { watchEnds } from './watch.ts'

export interface HetznerDriverOptions {
  /** The daemon's home. */
  readonly home: string
  /** Of the project in Hetzner Cloud, asked for each request. Throws `cloud_unauthorized` when there is none. */
  readonly token: () => string
  /** Of the API. */
  readonly endpoint: string
  /** Makes the connection to a box. */
  readonly openLink: OpenLink
  /** From where SSH is admitted, as CIDRs; from everywhere if absent, for the key alone. */
  readonly sshFrom?: readonly string[] | undefined
  /** How long a machine may take until boxd answers in it, in ms; 10 minutes if absent. */
  readonly bootMs?: number | undefined
  /** How long a change may wait for a network that is gone, in ms; 3 minutes if absent. */
  readonly patienceMs?: number | undefined
  readonly log: Log
  readonly pace?: Pace | undefined
  readonly step?: Step | undefined
}

/** The driver, and what the cloud has beside the port. */
export interface HetznerDriver extends Driver {
  readonly quote: NonNullable<Driver['quote']>
  readonly found: NonNullable<Driver['found']>
  readonly setDeadline: NonNullable<Driver['setDeadline']>
  readonly adopt: NonNullable<Driver['adopt']>
  readonly bake: NonNullable<Driver['bake']>
  readonly baked: NonNullable<Driver['baked']>
  readonly removeBaked: NonNullable<Driver['removeBaked']>
  /** Needs no `open` and nothing of a home. */
  readonly sweep: NonNullable<Driver['sweep']>
}

/** Of a look that somebody waits for, or that is repeated anyway: then a network that is gone is to be said soon. */
const lookPatienceMs = 10_000
const patience = { patienceMs: lookPatienceMs }

/** Boxes of the shape `vm` on Hetzner Cloud. Nothing is asked of the cloud before a verb needs it. */
export function createHetznerDriver(options: HetznerDriverOptions): HetznerDriver {
  const { token, log, endpoint, pace = realPace, patienceMs = 180_000 } = options
  const { bootMs = 600_000, sshFrom = ['0.0.0.0/0', '::/0'] } = options
  const client = createClient({ endpoint: endpoint.replace(/\/+$/, ''), token, pace, patienceMs })
  const catalog = createCatalog(client, pace)
  const files = openBoxFiles(options.home)
  const links = createLinks(files, token, options.openLink)
  const locks = createKeyedLock()
  const listeners = new Set<(id: string) => void>()
  let opened: { readonly context: Context; readonly stopWatching: () => void } | undefined

  const shared = createSharedLook(client, pace)
  const tellAll = (id: string): void => {
    shared.forget()
    for (const listener of listeners) listener(id)
  }
  const use = (): Context => {
    if (opened === undefined) throw new GibilError('internal', 'The Hetzner driver is not open.')
    return opened.context
  }
  const locked = <T>(id: string, task: (context: Context) => Promise<T>): Promise<T> => {
    assertBoxId(id)
    return locks.run(id, () => task(use()).finally(shared.forget))
  }
  const hosts = new Map<string, { readonly host: string; readonly mark: string | undefined }>()
  const findHost = async (id: string): Promise<{ host: string; mark: string | undefined }> => {
    const known = hosts.get(id)
    if (known !== undefined) return known
    const server = await findServer(use(), id, patience)
    if (server === undefined) {
      await checkProject(use(), id)
      throw new GibilError('boxd_unreachable', `Hetzner Cloud has no server of box ${id}.`)
    }
    const place = { host: addressOf(server), mark: server.labels[labelNames.key] }
    hosts.set(id, place)
    return place
  }
  const changing = <T>(id: string, task: (context: Context) => Promise<T>): Promise<T> =>
    locked(id, async (context) => {
      hosts.delete(id)
      return task(context)
    })

  return {
    provider: 'hetzner',
    shape: 'vm',
    capabilities: new Set(),
    async open() {
      token()
      const home = await files.homeId()
      const step = options.step ?? (() => undefined)
      const host = hostname()
      const context = { client, catalog, pace, files, links, home, host, sshFrom, bootMs, log, step }
      const stopWatching = watchEnds({ client, home, log, ended: tellAll })
      opened = { context, stopWatching }
    },
    async close() {
      opened?.stopWatching()
      links.closeAll()
      opened = undefined
    },
    create: (spec, given = {}) => changing(spec.id, (context) => create(context, spec, given)),
    start: (spec, given = {}) => changing(spec.id, (context) => start(context, spec, given)),
    stop: (id, graceMs, given = {}) => changing(id, (context) => stop(context, id, graceMs, given)),
    pause: async (id) => refusePause(id),
    resume: async (id) => refusePause(id),
    destroy: (id) =>
      changing(id, async (context) => {
        links.drop(id)
        await context.step('destroy.look')
        await checkProject(context, id)
        await removeBox(context, id, { onlyOf: context.home })
        await files.forget(id)
        await context.step('destroy.end')
      }),
    async inspect(id) {
      assertBoxId(id)
      const { home } = use()
      const things = (await shared.all(patience)).get(id)
      if (things === undefined) {
        await checkProject(use(), id)
        return undefined
      }
      const box = await toDriverBox(id, things, catalog, patience)
      const elsewhere = homeOf(things) ?? home
      if (elsewhere === home) return box
      links.drop(id)
      hosts.delete(id)
      return { id, status: 'partial', address: null, elsewhere }
    },
    async list() {
      const { home } = use()
      const boxes = [...(await shared.all(patience))].filter(([, things]) => isOf(things, home))
      return Promise.all(boxes.map(([id, things]) => toDriverBox(id, things, catalog, patience)))
    },
    async quote({ size, cloud, image }) {
      const images = await findImages(client, image.name, patience)
      return plan({ size, cloud, images }, await catalog.get(patience))
    },
    async found() {
      // Somebody waits for it, and may just have made it elsewhere.
      shared.forget()
      const boxes = await shared.all(patience)
      const found = await Promise.all(
        [...boxes].map(([id, things]) => toFound(id, things, { catalog, links }, patience)),
      )
      return found.flatMap((box) => box ?? [])
    },
    setDeadline: (id, deadline) => locked(id, (context) => setDeadline(context, id, deadline)),
    adopt: (id) =>
      changing(id, async ({ home, host }) => {
        await relabel(client, id, { [labelNames.home]: home, [labelNames.host]: labelValue(host) })
        return toDriverBox(id, await look(client, ofBox(id), patience), catalog, patience)
      }),
    bake: (wish, given = {}) => locks.run(`bake ${wish.name}`, () => bake(use(), wish, given)),
    baked: () => bakedImages({ client, catalog }, patience),
    removeBaked: (name) => locks.run(`bake ${name}`, () => removeBaked(use(), name)),
    sweep: (keep) => sweepExpired(client, pace.now(), pace, keep).finally(shared.forget),
    async dial(id, signal): Promise<Duplex> {
      assertBoxId(id)
      const { host, mark } = await findHost(id)
      const link = await links.to(id, host, mark)
      try {
        return await link.dial(signal)
      } catch (error) {
        // Maybe it has another address now.
        hosts.delete(id)
        throw error
      }
    },
    onExit(listener) {
      listeners.add(listener)
    },
  }
}

function refusePause(id: string): never {
  throw new GibilError('unsupported_by_shape', `Box ${id} is at Hetzner Cloud and cannot be paused.`, {
    hint: '`gibil stop --snapshot` keeps its disk and gives the machine back.',
  })
}
