import type { BoxdClient } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { BoxPlane } from '@gibil/core'
import type { DoorDeps, Incoming } from './deps.ts'
import { ownEnvironment } from './envd/process.ts'
import type { Happenings } from './happenings.ts'
import { sameSecret, tokensOf } from './tokens.ts'
import type { Sandbox } from './view.ts'

/** Where SDKs reach the code interpreter of a sandbox. */
export const interpreterPort = 49999
/** The image that has one (images/code-interpreter). Images that are made of it have it too. */
export const interpreterImage = 'code-interpreter'
/** Starts it unless it runs, and gives it the environment of the sandbox; ends when it answers. */
const starter = '/usr/local/lib/code-interpreter/start'
/** In ms. On an emulated machine Python alone needs seconds. */
const startMs = 120_000

export interface Interpreters {
  /** Resolves when that of a sandbox answers, false when it has none. Throws `service_failed` when it does not come up. */
  ensure(sandbox: Sandbox): Promise<boolean>
  /** Hands a new sandbox out when that of its image answers. A sandbox in which it does not come up is not kept. */
  handOut(sandbox: Sandbox, plane: BoxPlane): Promise<Sandbox>
  /** It was not there: the next `ensure` starts it again. */
  forget(id: string): void
}

/** Code interpreters of sandboxes. What ended with a stop of its sandbox, a fork or by itself is started when it is next asked for. */
export function createInterpreters(boxd: DoorDeps['boxd'], onHalt: Happenings['onHalt']): Interpreters {
  const known = new Map<string, Promise<boolean>>()
  const forget = (id: string): void => void known.delete(id)
  const ensure: Interpreters['ensure'] = (sandbox) => {
    const { id } = sandbox.box
    const begun = known.get(id)
    if (begun) return begun
    const starting = start(boxd(id, undefined, { quiet: true }), ownEnvironment(sandbox))
    known.set(id, starting)
    starting.catch(() => forget(id))
    const takeBack = onHalt(id, () => {
      takeBack()
      forget(id)
    })
    return starting
  }
  return {
    ensure,
    forget,
    async handOut(sandbox, plane) {
      if (sandbox.box.image !== interpreterImage) return sandbox
      try {
        await ensure(sandbox)
        return sandbox
      } catch (error) {
        await plane.destroy(sandbox.box.id)
        throw error
      }
    },
  }
}

async function start(boxd: BoxdClient, env: Readonly<Record<string, string>>): Promise<boolean> {
  const request = { argv: [starter], user: 'root', cwd: '/', env, label: interpreterImage, timeoutMs: startMs }
  const job = await boxd.startJob(request).catch((error) => {
    if (GibilError.is(error) && error.code === 'command_not_found') return undefined
    throw error
  })
  if (!job) return false
  let log = ''
  for (let offset = 0; ; ) {
    const { chunks, exit, nextOffset } = await boxd.jobOutput(job.id, { offset, waitMs: 20_000 })
    log += chunks.map(({ text }) => text).join('')
    offset = nextOffset
    if (!exit) continue
    await boxd.forgetJob(job.id)
    if (exit.exitCode === 0) return true
    throw new GibilError('service_failed', `The code interpreter of the sandbox did not come up: ${log.slice(-500)}`)
  }
}

/**
 * Throws `unauthorized` for code without the access token of the sandbox: who runs code in it is not everyone who knows its id. For contexts SDKs send no token
 * (as of 2.8.0), so that those are open like other ports.
 */
export function checkInterpreterAccess({ headers, method, url = '' }: Incoming, id: string, secret: string): void {
  if (method === 'OPTIONS' || !/^\/+execute\b/.test(url)) return
  const given = headers['x-access-token']
  if (typeof given === 'string' && sameSecret(given, tokensOf(secret, id).envd)) return
  throw new GibilError('unauthorized', 'The access token of the sandbox is missing or wrong: header X-Access-Token')
}
