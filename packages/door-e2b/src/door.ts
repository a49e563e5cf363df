import type { Duplex } from 'node:stream'
import { GibilError } from '@gibil/contract'
import { getRequestListener } from '@hono/node-server'
import type { ControlParts } from './control/app.ts'
import { createControlApp } from './control/app.ts'
import { wake } from './control/life.ts'
import { allSandboxes, asSandbox } from './control/sandboxes.ts'
import type { DoorDeps, Incoming, Outgoing, PortGate } from './deps.ts'
import { createEnvdHandler, refuse, sendJson } from './envd/handler.ts'
import { isFileAddress, isSignedBy, signedIn } from './envd/signed.ts'
import { noSandbox } from './errors.ts'
import { followBoxes, type Happenings } from './happenings.ts'
import { checkInterpreterAccess, createInterpreters, interpreterPort } from './interpreter.ts'
import { keepMetrics } from './metrics-log.ts'
import { checkTraffic, notFound, refusalOf, visitOf } from './ports.ts'
import { envdPort, targetOf } from './target.ts'
import { openTemplates } from './templates/templates.ts'
import { tokensOf } from './tokens.ts'
import { type Sandbox, stateOf } from './view.ts'

export interface Door {
  request(incoming: Incoming, outgoing: Outgoing): void
  /** A request that asks to leave HTTP, as WebSockets do. */
  upgrade(incoming: Incoming, socket: Duplex, head: Buffer): void
}

/** Speaks E2B: who comes with a key gets sandboxes, who comes for a sandbox gets into it. */
export function createDoor(deps: DoorDeps): Door {
  const { control, ready, stopping, log } = deps
  const later: { happenings?: Happenings } = {}
  ready.then(
    () => {
      later.happenings = followBoxes(control(), stopping, log)
    },
    () => undefined,
  )
  const happenings: Happenings = {
    pausedAt: (id) => later.happenings?.pausedAt(id),
    onHalt: (id, halt) => later.happenings?.onHalt(id, halt) ?? (() => undefined),
  }
  const interpreters = createInterpreters(deps.boxd, happenings.onHalt)
  const templates = openTemplates(deps.templatesDir, deps)
  templates.catch((error) => log.error({ err: error }, 'templates cannot be read'))
  const parts: ControlParts = { ...deps, happenings, interpreters, templates, metrics: keepMetrics(deps) }
  const app = createControlApp(parts)
  const api = getRequestListener((request) => app.fetch(request), { hostname: 'localhost' })
  const envd = createEnvdHandler(deps)

  const inside = async (id: string, incoming: Incoming, outgoing: Outgoing): Promise<void> => {
    await ready
    const sandbox = await runningSandbox(id)
    if (sandbox) return envd(sandbox, incoming, outgoing, (halt) => happenings.onHalt(id, halt))
    const { status, body } = notFound(id)
    sendJson(outgoing, status, body)
  }
  /** An address that is signed opens its file also where nothing else says of which sandbox it is: only one has made that signature. */
  const signedFor = async (incoming: Incoming): Promise<string> => {
    await ready
    const signed = signedIn(incoming)
    const all = signed === undefined ? [] : await allSandboxes(control())
    const found = all.find(({ box }) => signed && isSignedBy(signed, tokensOf(deps.secret, box.id).envd))
    if (found) return found.box.id
    throw new GibilError('unauthorized', 'The address is not signed by any sandbox, and no header names one.')
  }
  const gateOf = (id: string, port: number, incoming: Incoming): PortGate => ({
    async admit() {
      await ready
      const sandbox = await runningSandbox(id, (found) => checkTraffic(incoming, found, deps.secret))
      if (!sandbox) throw noSandbox(id)
      if (port === interpreterPort && (await interpreters.ensure(sandbox))) {
        checkInterpreterAccess(incoming, id, deps.secret)
      }
      return visitOf(sandbox, port)
    },
    refusal(error) {
      if (port === interpreterPort && error.code === 'port_closed') interpreters.forget(id)
      return refusalOf(error, id, port)
    },
  })

  /** Undefined unless it runs. One that is paused is woken, if it was made so that traffic does that, for who passes the check. */
  const runningSandbox = async (id: string, check?: (found: Sandbox) => void): Promise<Sandbox | undefined> => {
    const sandbox = await findBox(id)
    if (!sandbox) return undefined
    check?.(sandbox)
    if (stateOf(sandbox.box) === 'running') return sandbox
    const wakes = sandbox.box.status === 'paused' && sandbox.terms.autoResume
    if (!wakes) return undefined
    await wake(control(), sandbox, { seconds: sandbox.terms.timeout, memory: true })
    return findBox(id)
  }
  const findBox = async (id: string): Promise<Sandbox | undefined> => {
    try {
      const box = await control().get(id)
      return box.id === id ? asSandbox(box) : undefined
    } catch (error) {
      if (GibilError.is(error) && error.code === 'box_not_found') return undefined
      throw error
    }
  }

  return {
    request(incoming, outgoing) {
      try {
        const target = targetOf(incoming.headers)
        if (target.kind === 'api' && isFileAddress(incoming)) {
          signedFor(incoming)
            .then((id) => inside(id, incoming, outgoing))
            .catch((error) => refuse(GibilError.from(error), outgoing))
        } else if (target.kind === 'api') void api(incoming, outgoing)
        else if (target.port !== envdPort) {
          deps.ports.request(incoming, outgoing, gateOf(target.id, target.port, incoming))
        } else {
          inside(target.id, incoming, outgoing).catch((error) => {
            log.debug({ err: error }, 'a request for a sandbox failed')
            refuse(GibilError.from(error), outgoing)
          })
        }
      } catch (error) {
        refuse(GibilError.from(error), outgoing)
      }
    },
    upgrade(incoming, socket, head) {
      try {
        const target = targetOf(incoming.headers)
        if (target.kind === 'api' || target.port === envdPort) throw noSandbox('')
        deps.ports.upgrade(incoming, socket, head, gateOf(target.id, target.port, incoming))
      } catch {
        socket.destroy()
      }
    },
  }
}
