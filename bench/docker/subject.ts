import { readFile } from 'node:fs/promises'
import { mustRun, pssBytes } from '../process.ts'
import type { Running, Subject } from '../subject.ts'
import { field } from './api.ts'
import { type DockerDaemon, startDocker } from './daemon.ts'

interface DockerBox extends Running {
  readonly id: string
}

export interface DockerSubject extends Subject, AsyncDisposable {
  readonly daemon: DockerDaemon
  readonly image: string
  readonly version: string
  /** Arguments of `docker run` for the limits of a default box. */
  readonly limits: readonly string[]
  create(): Promise<DockerBox>
  /** Runs the command line client. */
  cli(...args: readonly string[]): Promise<string>
}

/** As large as a box is by default. */
export interface Limits {
  readonly cpu: number
  readonly memoryMib: number
}

/** Docker with an image of the same root file system, whose user and environment are those of our base image. */
export async function startDockerSubject(cache: string, rootfs: string, limits: Limits): Promise<DockerSubject> {
  const daemon = await startDocker(cache)
  try {
    const image = 'bench-base'
    const { api, env } = daemon
    const changes = ['USER agent', 'WORKDIR /home/agent', 'ENV LANG=C.UTF-8'].flatMap((change) => ['--change', change])
    await mustRun(['sh', '-c', 'tar -C "$0" -c . | docker import "$@"', rootfs, ...changes, '-', image], { env })
    const version = field(await api.call('GET', '/version'), 'Version')
    const wanted = {
      Image: image,
      Cmd: ['sleep', 'infinity'],
      HostConfig: { NanoCpus: limits.cpu * 1e9, Memory: limits.memoryMib * 1024 ** 2, PidsLimit: 4096 },
    }
    return {
      name: 'docker',
      daemon,
      image,
      version,
      limits: ['--cpus', String(limits.cpu), '--memory', `${limits.memoryMib}m`, '--pids-limit', '4096'],
      cli: (...args) => mustRun(['docker', ...args], { env }),
      async create() {
        const id = field(await api.call('POST', '/containers/create', wanted), 'Id')
        await api.call('POST', `/containers/${id}/start`)
        return {
          id,
          run: (line) => api.exec(id, ['bash', '-c', line]),
          destroy: async () => void (await api.call('DELETE', `/containers/${id}?force=1&v=1`)),
          pids: () => processesOf(daemon, id),
        }
      },
      daemonBytes: async () => pssBytes(await daemon.pids()),
      [Symbol.asyncDispose]: () => removeAll(daemon),
    }
  } catch (error) {
    await daemon[Symbol.asyncDispose]()
    throw error
  }
}

/** The container's process and the shim that Docker keeps beside it. */
async function processesOf({ api }: DockerDaemon, id: string): Promise<number[]> {
  const pid = Number(field(await api.call('GET', `/containers/${id}/json`), 'State', 'Pid'))
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  return [pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])]
}

async function removeAll(daemon: DockerDaemon): Promise<void> {
  const left = await daemon.api.call('GET', '/containers/json?all=1').catch(() => [])
  for (const container of Array.isArray(left) ? left : []) {
    await daemon.api.call('DELETE', `/containers/${field(container, 'Id')}?force=1&v=1`).catch(() => undefined)
  }
  await daemon[Symbol.asyncDispose]()
}
