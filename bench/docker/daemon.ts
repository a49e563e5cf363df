import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeCgroups } from '../cgroups.ts'
import { descendants, isAlive } from '../process.ts'
import { type DockerApi, dockerApi } from './api.ts'
import { dockerPath } from './programs.ts'

export interface DockerDaemon extends AsyncDisposable {
  readonly api: DockerApi
  readonly env: NodeJS.ProcessEnv
  /** dockerd and its containerd. */
  pids(): Promise<readonly number[]>
}

const startMs = 60_000
const stopMs = 30_000

/**
 * A Docker of the bench's own, with its usual settings (bridge, iptables, overlay2), in network and mount namespaces of its own: its firewall
 * rules, bridge and mounts are seen by nobody else and end with it.
 */
export async function startDocker(cache: string): Promise<DockerDaemon> {
  const env = { ...process.env, PATH: await dockerPath(cache) }
  const home = await mkdtemp(join(cache, 'bench-docker-'))
  const socket = join(home, 'docker.sock')
  const cgroupParent = `bench-docker-${process.pid}`
  const log = openSync(join(home, 'dockerd.log'), 'a')
  const dockerd = [
    `dockerd --host unix://${socket} --data-root ${home}/data --exec-root ${home}/exec --pidfile ${home}/dockerd.pid`,
    `--cgroup-parent /${cgroupParent}`,
  ].join(' ')
  // A containerd of the host's would be taken instead of starting one: it is covered.
  const line = `ip link set lo up && if [ -d /run/containerd ]; then mount -t tmpfs none /run/containerd; fi && exec ${dockerd}`
  const namespaces = 'exec unshare --net --mount --propagation private sh -c "$0"'
  const child = spawn('sh', ['-c', namespaces, line], { env, stdio: ['ignore', log, log] })
  closeSync(log)
  const api = dockerApi(socket)

  const dispose = async (): Promise<void> => {
    api.close()
    await stop(child)
    await removeCgroups(cgroupParent)
    await rm(home, { recursive: true, force: true })
  }
  try {
    await ready(api, child)
  } catch (error) {
    const text = await readFile(join(home, 'dockerd.log'), 'utf8').catch(() => '')
    await dispose()
    throw new Error(`Docker did not start: ${text.trim().split('\n').slice(-5).join('\n')}`, { cause: error })
  }
  return {
    api,
    env: { ...env, DOCKER_HOST: `unix://${socket}` },
    async pids() {
      const pid = child.pid ?? 0
      const below = await descendants(pid)
      const names = await Promise.all(below.map((one) => readFile(`/proc/${one}/comm`, 'utf8').catch(() => '')))
      return [pid, ...below.filter((_, index) => names[index]?.trim() === 'containerd')]
    },
    [Symbol.asyncDispose]: dispose,
  }
}

async function ready(api: DockerApi, child: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + startMs; ; await sleep(50)) {
    try {
      await api.call('GET', '/version')
      return
    } catch (error) {
      if (child.exitCode !== null || Date.now() > deadline) throw error
    }
  }
}

/** Politely, which also ends the containerd that it started; then by force. */
async function stop(child: ChildProcess): Promise<void> {
  const { pid } = child
  if (pid === undefined || child.exitCode !== null) return
  const below = await descendants(pid)
  child.kill('SIGTERM')
  for (const deadline = Date.now() + stopMs; child.exitCode === null && child.signalCode === null; await sleep(50)) {
    if (Date.now() > deadline) child.kill('SIGKILL')
  }
  for (const one of below) if (isAlive(one)) process.kill(one, 'SIGKILL')
}
