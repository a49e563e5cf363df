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

const asRoot = 'as=; [ "$(id -u)" = 0 ] || as="sudo -n"'

const startUnit = `
unit=$1; ${asRoot}
[ -d /run/systemd/system ] || { echo 'This box has no systemd: choose the shape vm.' >&2; exit 127; }
[ "$(systemctl show --property LoadState --value -- "$unit")" = loaded ] || {
  echo "The image of this box has no unit $unit: the image vm has postgresql and redis-server, another one needs its package installed." >&2
  exit 127
}
$as systemctl start -- "$unit" || { status=$?; $as journalctl --unit "$unit" --lines 50 --output cat --no-pager; exit "$status"; }`

/** What it and its instances say. */
const showUnit = `
unit=$1; ${asRoot}
exec $as journalctl --unit "$unit" --unit "\${unit%.service}@*" --boot --lines 50 --output cat --follow`

/** The command that starts a unit, which goes on by itself, and ends when it has started. */
export const startUnitRequest = (unit: string, label: string): ExecRequest => unitRequest(startUnit, unit, label)

const unitRequest = (script: string, unit: string, label: string): ExecRequest => ({
  argv: ['bash', '-c', script, label, unit],
  cwd: '~',
  label,
})

/**
 * The job that a service is. A container has the network of its box: what listens in it listens on localhost. The job of a unit, which goes on by
 * itself, is to show its journal.
 */
export function serviceRequest({ record }: Pick<SetupRun, 'record'>, service: Service, label: string): ExecRequest {
  if (service.unit) return unitRequest(showUnit, service.unit, label)
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
