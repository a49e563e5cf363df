import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'
import { makeProject } from './support/project.ts'
import { makeTinyImage } from './support/tiny-image.ts'

/** Each start of Java, Node or Chromium takes seconds where the processor is emulated. */
const slow = 1_200_000

/** The image takes minutes to build, and GiB. */
describe.runIf(full)('a workstation', { timeout: slow }, () => {
  let home: TestHome
  beforeAll(async () => {
    home = await makeHome('workstation')
    const started = await home.startDaemon()
    expect(started.exitCode, started.stderr).toBe(0)
  }, slow)
  afterAll(() => home?.[Symbol.asyncDispose](), slow)

  const must = async (...args: string[]): Promise<string> => {
    const result = await home.gibil(args, { timeoutMs: slow })
    expect(result.exitCode, `gibil ${args.join(' ')}: ${result.stderr}${result.stdout}`).toBe(0)
    return result.stdout
  }

  it('is a vm with the image and size of the preset', async () => {
    await using project = await makeProject('services: [postgres, redis]\n')
    const args = ['--shape', 'managed', '--memory', '2G', '--name', 'w', '--repo', project.path, '--json']
    const box = JSON.parse(await must('create', ...args))
    expect(box).toMatchObject({ shape: 'vm', image: 'workstation', size: { memoryMib: 2048, diskMib: 30_720 } })
    expect(box.chosenBecause[0]).toBe('managed is a vm of the image workstation')
  })

  it('has the databases that its project asked for', async () => {
    expect(await must('run', 'w', 'psql -Atc "select 1"; redis-cli ping')).toBe('1\nPONG\n')
    // As programs call them that know machines of others.
    await must('run', 'w', 'sudo service redis-server restart && until redis-cli ping; do sleep 1; done')
  })

  it('has Docker running, and Compose', async () => {
    const compose = 'services:\n  one:\n    image: tiny\n    command: cat /proc/net/route\n'
    await must('run', 'w', makeTinyImage())
    await must('run', 'w', `printf '${compose}' >compose.yml`)
    expect(await must('run', 'w', 'docker compose version --short; docker compose run -T one')).toMatch(
      /^1\.[\d.]+\n[\s\S]*^eth0\s+00000000\s/m,
    )
  })

  it('has all tools of its list', async () => {
    const report = await must('run', 'w', '--', 'check-tools')
    expect(report).toMatch(/^ {2}uv +on first use, from PyPI$/m)
    expect(report).toMatch(/^ {2}gradle +Gradle 4/m)
    expect(report.match(/^ {2}\S/gm)?.length).toBeGreaterThan(60)
  })
})
