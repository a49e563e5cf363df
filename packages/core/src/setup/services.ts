import { formatDuration, GibilError, type JobOutput } from '@gibil/contract'
import { defaultReadyMs, type Service } from '../gibil-yml/config.ts'
import type { Clock } from '../ports/clock.ts'
import { abortable, sleep } from '../util/timing.ts'
import { describeExit, exec, type SetupRun, stepError } from './commands.ts'
import { isReady } from './ready-check.ts'
import { serviceRequest, startUnitRequest } from './service-command.ts'

/** The label of the job of a service, by which it is told from the commands of users. */
const serviceLabel = (name: string): string => `service ${name}`
export const isServiceLabel = (label: string): boolean => label.startsWith('service ')

const firstPauseMs = 50
const longestPauseMs = 1000
/** Of the output of a service, for a `log` check and for failures. */
const keptOutput = 256 * 1024

/**
 * Throws `unsupported_by_shape` for services that are container images in a box that is a container itself, and for units of systemd where that is
 * not the first process.
 */
export function checkServices(run: SetupRun, services: readonly Service[]): void {
  const { shape } = run.record
  const unit = services.find((service) => service.unit)
  if (unit && shape !== 'vm') {
    throw new GibilError(
      'unsupported_by_shape',
      `The service ${unit.name} of .gibil.yml is a unit of systemd, which a box of the shape ${shape} does not have.`,
      {
        hint: 'Choose the shape vm, whose image has PostgreSQL and Redis, or give the service a command.',
        details: { step: serviceLabel(unit.name) },
      },
    )
  }
  const image = services.find((service) => service.image !== null)
  if (!image || shape !== 'container') return
  throw new GibilError(
    'unsupported_by_shape',
    `The service ${image.name} of .gibil.yml is a container image, which a box of the shape container cannot run.`,
    {
      hint: 'Give it a command instead of an image, or choose an image that has Docker: docker (a microvm) or vm.',
      details: { step: serviceLabel(image.name) },
    },
  )
}

/** Starts the services one after another, each when the one before is ready. Throws `service_failed`. */
export async function startServices(run: SetupRun, clock: Clock, services: readonly Service[]): Promise<void> {
  for (const service of services) {
    await run.step(serviceLabel(service.name), () => startService(run, clock, service))
  }
}

async function startService(run: SetupRun, clock: Clock, service: Service): Promise<void> {
  const label = serviceLabel(service.name)
  const failed = (what: string, cause?: unknown): GibilError => {
    return stepError(run, 'service_failed', label, `The ${label} ${what}.`, cause)
  }
  if (service.unit) {
    const timeoutMs = service.ready?.timeoutMs ?? defaultReadyMs
    const exit = await exec(run, { ...startUnitRequest(service.unit, `start ${service.name}`), timeoutMs })
    if (exit.exitCode !== 0) throw failed(`could not be started: systemctl ${describeExit(exit)}`)
  }
  const job = await abortable(run.boxd.startJob(serviceRequest(run, service, label)), run.signal).catch(
    (error: unknown) => {
      run.signal.throwIfAborted()
      throw failed(`could not be started: ${GibilError.from(error).message}`, error)
    },
  )

  const begin = clock.now()
  let printed = ''
  let offset = 0
  for (let pause = firstPauseMs; ; pause = Math.min(longestPauseMs, pause * 2)) {
    const news = await abortable(run.boxd.jobOutput(job, { offset, waitMs: 0 }), run.signal)
    offset = news.nextOffset
    const text = textOf(news)
    if (text !== '') run.output.text(text)
    printed = (printed + text).slice(-keptOutput)
    if (news.exit) throw failed(`${describeExit(news.exit)} before it was ready`)
    if (service.ready === null || (await isReady(run, clock, service, service.ready, printed))) return
    if (clock.now() - begin >= service.ready.timeoutMs) {
      throw failed(`was not ready after ${formatDuration(service.ready.timeoutMs)}`)
    }
    await sleep(clock, pause, run.signal)
  }
}

const textOf = ({ chunks }: JobOutput): string => chunks.map((chunk) => chunk.text).join('')
