import type { Service } from '../gibil-yml/config.ts'
import type { ExecRequest } from '../ports/boxd.ts'
import { lineRequest, type SetupRun } from './commands.ts'

/** What the container of a service is called in its box. */
const containerOf = ({ name }: Service): string => `gibil-${name}`

/** Says why there can be no container, and takes away what an earlier start of the box has left of it. */
const runContainer = `
command -v docker >/dev/null || { echo 'There is no Docker in this box: choose the image docker or vm.' >&2; exit 127; }
name=$1; shift
docker rm --force "$name" >/dev/null 2>&1
exec docker run --rm --name "$name" "$@"`

/** The job that a service is. A container has the network of its box: what listens in it listens on localhost. */
export function serviceRequest({ record }: Pick<SetupRun, 'record'>, service: Service, label: string): ExecRequest {
  if (service.image === null) {
    return lineRequest(record, { run: service.command ?? '', cwd: service.cwd, env: service.env }, label)
  }
  const env = Object.keys(service.env).flatMap((name) => ['--env', name])
  const argv = [containerOf(service), '--network', 'host', ...env, service.image]
  return { argv: ['bash', '-c', runContainer, label, ...argv], cwd: '~', env: service.env, label }
}

/** The command that tells whether a service is ready; it runs in its container where it has one. */
export function readyRequest({ record }: Pick<SetupRun, 'record'>, service: Service, command: string): ExecRequest {
  const label = `ready ${service.name}`
  const request = lineRequest(record, { run: command, cwd: service.cwd, env: service.env }, label)
  if (service.image === null) return request
  return { ...request, argv: ['docker', 'exec', containerOf(service), 'sh', '-c', command], cwd: '~' }
}
