import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where a process is accounted for its memory, and what the files there are called in this version of cgroups. */
interface Accounted {
  readonly mount: string
  readonly directory: string
  readonly limit: string
  /** What it cannot give back, in memory.stat. */
  readonly own: RegExp
}

async function accountedOf(pid: number): Promise<Accounted> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).trim().split('\n')
  const old = lines.find((line) => line.split(':')[1]?.split(',').includes('memory'))
  const path = (old ?? lines[0] ?? '').split(':').slice(2).join(':')
  const mount = join('/sys/fs/cgroup', old ? 'memory' : '')
  return {
    mount,
    directory: join(mount, path),
    ...(old
      ? { limit: 'memory.limit_in_bytes', own: /^total_rss (\d+)$/m }
      : { limit: 'memory.max', own: /^anon (\d+)$/m }),
  }
}

/** Leaves a process 16 MiB more than its cgroup cannot give back. What it has of files would be given up first, and be more than its guest asks for. */
export async function tighten(pid: number): Promise<void> {
  const { directory, limit, own } = await accountedOf(pid)
  const used = Number(own.exec(await readFile(join(directory, 'memory.stat'), 'utf8'))?.[1])
  await writeFile(join(directory, limit), String(used + 16 * 1024 ** 2))
}

/** A cgroup whose processes have so much memory together, what the host keeps of files for them included. */
export interface Narrow extends AsyncDisposable {
  readonly procs: string
  enter(pid: number): Promise<void>
}

/** Whoever entered goes back to where this process is when it is disposed of; the others must have ended. */
export async function narrow(name: string, mib: number): Promise<Narrow> {
  const here = await accountedOf(process.pid)
  const directory = join(here.mount, name)
  const procs = join(directory, 'cgroup.procs')
  const entered: number[] = []
  await mkdir(directory)
  await writeFile(join(directory, here.limit), String(mib * 1024 ** 2))
  return {
    procs,
    async enter(pid) {
      await writeFile(procs, String(pid))
      entered.push(pid)
    },
    async [Symbol.asyncDispose]() {
      for (const pid of entered) await writeFile(join(here.directory, 'cgroup.procs'), String(pid))
      await rmdir(directory)
    },
  }
}
