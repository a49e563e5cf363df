import { GibilError, type SshState, type Version } from '@gibil/sdk'
import type { Session } from '../session.ts'
import { type Check, fail, ok, warn } from './check.ts'

const proxyCheck = ({ port, problem }: Version['proxy']): Check =>
  problem === null
    ? ok('proxy', `published ports are at http://<port>-<box>.localhost:${port}/`)
    : warn('proxy', problem, 'set daemon.proxy in config.yml to a free port; gibil down; gibil up')

const sshCheck = ({ host, port, problem }: SshState): Check =>
  problem === null
    ? ok('ssh', `ssh -p ${port} <box>@${host}, and gibil ssh <box>`)
    : warn(
        'ssh',
        `${problem}; gibil ssh <box> works`,
        'set daemon.ssh in config.yml to a free port; gibil down; gibil up',
      )

/** Whether the daemon of this home answers, and where; then what it says of the host that its boxes need. */
export async function checkDaemon(session: Session): Promise<Check[]> {
  try {
    const version = await session.gibil.version({ signal: session.signal })
    const endpoint = await session.gibil.endpoint()
    const where = endpoint.kind === 'socket' ? endpoint.path : endpoint.url
    const ssh = await session.gibil.ssh({ signal: session.signal })
    const checks = await session.gibil.checks({ signal: session.signal })
    return [
      ok('daemon', `process ${version.pid}, version ${version.version}, at ${where}`),
      proxyCheck(version.proxy),
      sshCheck(ssh),
      ...checks.map(({ name, ok: fine, required, detail, mend }) =>
        fine ? ok(`box: ${name}`, detail) : (required ? fail : warn)(`box: ${name}`, detail, mend),
      ),
    ]
  } catch (error) {
    if (!GibilError.is(error)) throw error
    return [
      error.code === 'daemon_unreachable'
        ? warn('daemon', 'not running', './gibil up')
        : fail('daemon', error.message, error.hint),
    ]
  }
}
