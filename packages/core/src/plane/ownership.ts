import { type Box, type Event, GibilError, type Session, type Snapshot, type Volume } from '@gibil/contract'
import type { BoxPlane, ControlPlane } from '../control-plane.ts'
import type { Sessions } from '../session/sessions.ts'
import { throwingGibilErrors } from '../util/gibil-errors.ts'
import type { Boxes } from './boxes.ts'
import type { Volumes } from './volumes.ts'

const own = (box: Box): Box => ({ ...box, owner: null })
const ownSnapshot = (snapshot: Snapshot): Snapshot => ({ ...snapshot, owner: null })
const ownSession = (session: Session): Session => ({ ...session, owner: null })
const ownVolume = (volume: Volume): Volume => ({ ...volume, owner: null })
const ownEvent = (event: Event): Event => ({ ...event, owner: null })

/** The control plane as one token sees it. Each call finds the box among the token's own, and then goes by its id. */
export function planeOfOwner(owner: string, plane: ControlPlane, boxes: Boxes): BoxPlane {
  const idOf = async (ref: string): Promise<string> => (await boxes.find(ref, owner)).id

  return throwingGibilErrors<BoxPlane>({
    create: async (input, options) => own(await plane.create(input, { ...options, owner })),
    async createFleet(input, options) {
      const fleet = await plane.createFleet(input, { ...options, owner })
      return { ...fleet, boxes: fleet.boxes.map(own) }
    },
    wait: async (ref, wait, signal) => own(await plane.wait(await idOf(ref), wait, signal)),
    uploadRepo: async (ref, tar) => own(await plane.uploadRepo(await idOf(ref), tar)),
    get: async (ref) => own(await plane.get(await idOf(ref))),
    list: async (filter) => (await plane.list({ ...filter, owner })).map(own),
    extend: async (ref, ttl) => own(await plane.extend(await idOf(ref), ttl)),
    setEgress: async (ref, egress) => own(await plane.setEgress(await idOf(ref), egress)),
    pause: async (ref) => own(await plane.pause(await idOf(ref))),
    resume: async (ref) => own(await plane.resume(await idOf(ref))),
    stopBox: async (ref, options) => own(await plane.stopBox(await idOf(ref), options)),
    startBox: async (ref) => own(await plane.startBox(await idOf(ref))),
    restart: async (ref, options) => own(await plane.restart(await idOf(ref), options)),
    console: async (ref) => plane.console(await idOf(ref)),
    destroy: async (ref) => own(await plane.destroy(await idOf(ref))),
    publish: async (ref, port, options) => plane.publish(await idOf(ref), port, options),
    unpublish: async (ref, port) => plane.unpublish(await idOf(ref), port),
    published: async (ref) => plane.published(await idOf(ref)),
    async destroyFleet(fleet) {
      if ((await boxes.list({ fleet, owner })).length === 0) throw noSuchFleet(fleet)
      // A fleet is made by one call, so that all of it has one owner.
      return (await plane.destroyFleet(fleet)).map(own)
    },
    snapshot: async (ref, input) => ownSnapshot(await plane.snapshot(await idOf(ref), input)),
    snapshots: async (filter) => (await plane.snapshots({ ...filter, owner })).map(ownSnapshot),
    getSnapshot: async (ref) => ownSnapshot(await plane.getSnapshot(ref, { owner })),
    removeSnapshot: async (ref) => ownSnapshot(await plane.removeSnapshot(ref, { owner })),
    restore: async (ref, snapshot) => own(await plane.restore(await idOf(ref), snapshot)),
    async move(ref, input, options) {
      const moved = await plane.move(await idOf(ref), input, options)
      return { ...moved, box: own(moved.box) }
    },
    exportBox: async (ref, take, options) => plane.exportBox(await idOf(ref), take, options),
    importBox: async (input, options) => own(await plane.importBox(input, { ...options, owner })),
    mount: async (ref, input) => plane.mount(await idOf(ref), input),
    unmount: async (ref, what) => plane.unmount(await idOf(ref), what),
    mounts: async (ref) => plane.mounts(await idOf(ref)),
    async fork(input, options) {
      const forked = await plane.fork(input, { ...options, owner })
      return { ...forked, boxes: forked.boxes.map(own) }
    },
    async connect(ref, signal, options) {
      const { box, stream } = await plane.connect(await idOf(ref), signal, options)
      return { box: own(box), stream }
    },
    setupLog: async (ref, offset, limit) => plane.setupLog(await idOf(ref), offset, limit),
    async *events(options) {
      for await (const event of plane.events({ ...options, owner })) yield ownEvent(event)
    },
    ended: (ref) => plane.ended(ref, { owner }),
    async cost() {
      const { currencies } = await plane.cost({ owner })
      const ours = currencies.map((sheet) => ({ ...sheet, boxes: sheet.boxes.map((box) => ({ ...box, owner: null })) }))
      return { budget: null, currencies: ours }
    },
    sessions: throwingGibilErrors<Sessions>({
      start: async (input, options) => ownSession(await plane.sessions.start(input, { ...options, owner })),
      list: async () => (await plane.sessions.list({ owner })).map(ownSession),
      get: async (ref, options) => ownSession(await plane.sessions.get(ref, { ...options, owner })),
      stop: async (ref, options) => ownSession(await plane.sessions.stop(ref, { ...options, owner })),
      remove: async (ref) => ownSession(await plane.sessions.remove(ref, { owner })),
      output: (ref, options) => plane.sessions.output(ref, { ...options, owner }),
      recording: (ref) => plane.sessions.recording(ref, { owner }),
      result: (ref, kind) => plane.sessions.result(ref, kind, { owner }),
    }),
    volumes: throwingGibilErrors<Volumes>({
      create: async (input) => ownVolume(await plane.volumes.create(input, { owner })),
      list: async () => (await plane.volumes.list({ owner })).map(ownVolume),
      get: async (ref) => ownVolume(await plane.volumes.get(ref, { owner })),
      remove: async (ref) => ownVolume(await plane.volumes.remove(ref, { owner })),
    }),
    shapes: () => plane.shapes(),
    choose: (needs) => plane.choose(needs),
  })
}

export const noSuchFleet = (fleet: string): GibilError =>
  new GibilError('fleet_not_found', `No box belongs to a fleet "${fleet.slice(0, 80)}".`)
