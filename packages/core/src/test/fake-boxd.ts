import { Duplex, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { GibilError, type Job } from '@gibil/contract'
import type { ConnectBoxd, ExecRequest } from '../ports/boxd.ts'
import type { Clock } from '../ports/clock.ts'
import { dialled } from './fake-driver.ts'
import { exit, type Host, type HostBox, type HostJob } from './host.ts'

const expand = (path: string): string => (path.startsWith('~') ? `/home/agent${path.slice(1)}` : path)

/** boxd of the boxes of a host: jobs, files and what `host.commands` says that commands do. */
export function createFakeBoxd(host: Host, clock: Clock): ConnectBoxd {
  return (dial) => {
    const reach = async (signal?: AbortSignal): Promise<{ id: string; box: HostBox }> => {
      const stream = await dial(signal)
      const id = dialled.get(stream) ?? ''
      stream.destroy()
      const box = host.boxes.get(id)
      if (!box) throw new GibilError('boxd_unreachable', 'the box went away')
      return { id, box }
    }
    const tree = async (): Promise<Readable> => Readable.from([JSON.stringify([...(await reach()).box.disk])])
    const launch = (id: string, box: HostBox, request: ExecRequest): HostJob => {
      const line = request.argv.join(' ')
      const number = host.ran.push({ id, line, env: request.env ?? {} })
      const job: Job = {
        id: `j${number}`,
        pid: number,
        argv: [...request.argv],
        cwd: expand(request.cwd ?? '~'),
        user: 'agent',
        tty: false,
        label: request.label ?? '',
        startedAt: new Date(clock.now()).toISOString(),
        exit: null,
        outputBytes: 0,
        firstOffset: 0,
      }
      const running: HostJob = { job, output: '', ended: Promise.withResolvers() }
      box.jobs.set(job.id, running)
      const rule = host.commands.findLast(({ match }) => match.test(line))
      const act = rule ? rule.act(box) : builtIn(host, box, request)
      void act.then(({ output, exit: end }) => {
        running.output += output
        running.ended.resolve(end)
      })
      void running.ended.promise.then((end) => {
        Object.assign(job, { exit: { ...end, durationMs: clock.now() - Date.parse(job.startedAt) } })
      })
      return running
    }
    return {
      async health() {
        await reach()
        return { version: '1' }
      },
      async configure(defaults) {
        const { box } = await reach()
        box.configured = { ...box.configured, ...defaults }
      },
      async exec(request, onOutput, signal) {
        const { id, box } = await reach(signal)
        const running = launch(id, box, request)
        const cut = Promise.withResolvers<never>()
        signal?.addEventListener('abort', () => cut.reject(signal.reason), { once: true })
        cut.promise.catch(() => undefined)
        const end = await Promise.race([running.ended.promise, cut.promise])
        if (host.boxes.get(id) !== box || box.status !== 'running')
          throw new GibilError('boxd_unreachable', 'the connection was cut')
        if (running.output !== '') onOutput('stdout', Buffer.from(running.output))
        return end
      },
      async startJob(request) {
        const { id, box } = await reach()
        return launch(id, box, request).job.id
      },
      async jobs() {
        const { box } = await reach()
        return [...box.jobs.values()].map(({ job }) => job)
      },
      async jobOutput(id, { offset, waitMs }) {
        const { box } = await reach()
        const running = box.jobs.get(id)
        if (!running) throw new GibilError('job_not_found', id)
        if (running.output.length <= offset) {
          const late = new Promise<void>((resolve) => void clock.after(waitMs, resolve))
          await Promise.race([running.ended.promise, late])
        }
        const rest = running.output.slice(offset)
        const chunks = rest === '' ? [] : [{ stream: 'stdout' as const, offset, text: rest }]
        return { chunks, nextOffset: running.output.length, lost: 0, exit: running.job.exit }
      },
      async timedOutput(id, options) {
        const { chunks, ...page } = await this.jobOutput(id, options)
        return {
          ...page,
          chunks: chunks.map(({ offset, text: said }) => ({ offset, ms: null, data: Buffer.from(said) })),
        }
      },
      async signalJob(id, { signal }) {
        const { box } = await reach()
        const running = box.jobs.get(id)
        if (!running) throw new GibilError('job_not_found', id)
        running.ended.resolve({ exitCode: null, signal, timedOut: false, durationMs: 0 })
      },
      async download(path) {
        const { box } = await reach()
        return Readable.from([Buffer.from(box.disk.get(path) ?? '')])
      },
      async forgetJob(id) {
        const { box } = await reach()
        if (!box.jobs.get(id)?.job.exit) throw new GibilError('file_conflict', id)
        box.jobs.delete(id)
      },
      async readFile(path) {
        const { box } = await reach()
        const content = box.disk.get(expand(path))
        return content === undefined ? undefined : Buffer.from(content)
      },
      async putTar(path, tar) {
        const { box } = await reach()
        // The "tar" of these tests is JSON: path to content.
        const files = JSON.parse(await text(tar)) as Record<string, string>
        for (const [name, content] of Object.entries(files)) box.disk.set(`${expand(path)}/${name}`, content)
      },
      async dialPort(port) {
        await reach()
        if (!host.ports.has(port)) throw new GibilError('boxd_unreachable', `nothing listens on ${port}`)
        const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
        stream.push('HTTP/1.0 200 OK\r\n\r\n')
        return stream
      },
      async surveyTree() {
        const { box } = await reach()
        return { entries: box.disk.size, bytes: box.disk.size * 4096, maxId: 1000, maxIdPath: '/home/agent' }
      },
      readTree: tree,
      readTreeFirst: tree,
      readTreeRest: tree,
      async layTree(tar) {
        const { box } = await reach()
        const files = JSON.parse(await text(tar)) as [string, string][]
        for (const [path, content] of files) box.disk.set(path, content)
        return { entries: files.length, changed: [], changedCount: 0, sockets: 0 }
      },
      async standStill() {
        await reach()
        return () => undefined
      },
      async shutdown() {
        const { box } = await reach()
        host.endJobs(box)
      },
    }
  }
}

async function builtIn(
  host: Host,
  box: HostBox,
  request: ExecRequest,
): Promise<Awaited<ReturnType<Host['commands'][number]['act']>>> {
  const [program, verb] = request.argv
  if (program === 'git' && verb === 'clone') {
    const [url = '', directory = ''] = request.argv.slice(-2)
    const files = host.repos.get(url)
    if (!files) return { output: `fatal: repository '${url}' not found\n`, exit: exit(128) }
    if (box.disk.has('/home/agent/project/.git/HEAD'))
      return { output: 'fatal: destination path exists\n', exit: exit(128) }
    for (const [path, content] of Object.entries(files)) box.disk.set(`/home/agent/${directory}/${path}`, content)
    box.disk.set('/home/agent/project/.git/HEAD', 'x')
    return { output: "Cloning into 'project'...\n", exit: exit(0) }
  }
  if (program === 'git' && verb === 'rev-parse') return { output: `${'a'.repeat(40)}\n`, exit: exit(0) }
  return { output: `ran ${request.argv.join(' ')}\n`, exit: exit(0) }
}
