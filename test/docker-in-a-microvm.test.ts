import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { makeProject } from './support/project.ts'
import { makeTinyImage } from './support/tiny-image.ts'

/** A Docker starts in ten seconds, and each of its containers in a few, where the processor is emulated and the machine is busy. */
const slow = 600_000

let home: TestHome

beforeAll(async () => {
  home = await makeHome('docker')
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
}, 2 * slow)
afterAll(() => home?.[Symbol.asyncDispose](), slow)

const must = async (...args: string[]): Promise<string> => {
  const result = await home.gibil(args)
  expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}${result.stdout}`).toBe(0)
  return result.stdout
}
const runIn = (box: string, line: string): Promise<string> => must('run', box, '--', 'sh', '-ec', line)
const run = (line: string): Promise<string> => runIn('d', line)

const rootfs = makeTinyImage('python3')
const server =
  'docker run -d -p 8080:80 --name web -v /usr/lib/python3.11:/usr/lib/python3.11:ro tiny python3 -m http.server 80'

describe.runIf(full)('the image docker', { timeout: slow }, () => {
  it('is no container: that is said before anything is made', async () => {
    const refused = await home.gibil(['create', '--image', 'docker', '--shape', 'container', '--name', 'c'])
    expect(refused.exitCode).not.toBe(0)
    expect(refused.stderr).toMatch(/kernel of its own[\s\S]*--shape microvm/)
    expect(await must('ls', '--json')).toBe('[]\n')
  })

  it('makes a microvm whose Docker answers the first command', async () => {
    expect(JSON.parse(await must('create', '--image', 'docker', '--name', 'd', '--json'))).toMatchObject({
      shape: 'microvm',
      user: 'agent',
    })
    expect(await run('docker info --format "{{.Driver}} {{.CgroupVersion}} {{.Name}}"')).toBe('overlay2 2 d\n')
  })

  it('runs a container with limits and the network, and publishes its port to the box', async () => {
    await run(rootfs)
    const limits = 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'
    expect(await run(`docker run --rm -m 64m --pids-limit 50 tiny sh -c '${limits}'`)).toBe('67108864\n50\n')
    expect(await run('docker run --rm tiny cat /proc/net/route')).toMatch(/^eth0\s+00000000\s/m)
    await run(server)
    const page = await run('curl -fsS --retry 20 --retry-all-errors --retry-delay 1 localhost:8080/etc/hostname')
    expect(await run('docker inspect -f "{{.Id}}" web')).toContain(page.trim())
  })

  it('builds an image', async () => {
    await run('mkdir -p context && printf "FROM tiny\\nRUN echo made > /made\\n" > context/Dockerfile')
    await run('docker build -q -t mine context')
    expect(await run('docker run --rm mine cat /made')).toBe('made\n')
  })

  it('has its images and its Docker after stop and start', async () => {
    await must('stop', 'd')
    await must('start', 'd')
    expect(await run('docker run --rm mine cat /made')).toBe('made\n')
  })

  it('has the services of a project that are images, and says which it has not', async () => {
    const services = `services: { web: { image: tiny, ready: { http: 'http://localhost:80/' } } }`
    await using without = await makeProject(services)
    const refused = await home.gibil(['create', '--image', 'docker', '--name', 'w', '--repo', without.path, '--json'])
    const { error } = JSON.parse(refused.stdout)
    expect(error).toMatchObject({ code: 'service_failed', details: { step: 'service web' } })
    expect(error.details.log).toMatch(/tiny/)

    const lines = 'FROM tiny\\nCOPY . /usr/lib/python3.11/\\nCMD python3 -m http.server 80\\n'
    const setup = `set -e\n${rootfs}\nprintf '${lines}' | docker build -q -t tiny -f - /usr/lib/python3.11`
    await using project = await makeProject(`${services}\nsetup: ${JSON.stringify(setup)}\n`)
    await must('create', '--image', 'docker', '--name', 'p', '--repo', project.path)
    expect(JSON.parse(await must('show', 'p', '--json'))).toMatchObject({ readiness: 'ready' })
    expect(await runIn('p', 'docker exec gibil-web cat /etc/hostname')).toBe('p\n')
  })
})
