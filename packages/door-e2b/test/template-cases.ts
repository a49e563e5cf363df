import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BuildError, Sandbox, Template, waitForFile } from 'e2b'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestHome } from '../../../test/support/home.ts'

type Connection = { readonly apiKey: string; readonly apiUrl: string; readonly sandboxUrl: string }

interface Given {
  readonly home: () => TestHome
  readonly connection: () => Connection
  readonly newKey: (name: string) => Promise<string>
}

/** What the unmodified SDK does with templates: built, used, called by tags, kept over a restart, and gone without a rest. */
export function describeTemplates({ home, connection, newKey }: Given): void {
  describe('templates', () => {
    let context: string
    const definition = () =>
      Template({ fileContextPath: context })
        .fromImage('base')
        .setEnvs({ COLOUR: 'green' })
        .setEnvs({ PLACE: '$COLOUR/here' })
        .copy('app/*', '/srv/app/', { mode: 0o750 })
        .copy('tree', 'tree')
        .runCmd('echo "$(whoami) $PWD $PLACE" > made; sudo sh -c "id -u > /root-was"')
        .setWorkdir('/srv/app')
        .setStartCmd('echo "started by $(whoami) in $PWD" > /tmp/started; exec sleep 1000', waitForFile('/tmp/started'))
    const build = async (name: string, options: { tags?: string[] } = {}) => {
      const lines: string[] = []
      const onBuildLogs = ({ message }: { message: string }): void => void lines.push(message)
      const size = { cpuCount: 1, memoryMB: 512 }
      const info = await Template.build(definition(), name, { ...connection(), ...size, ...options, onBuildLogs })
      return { ...info, lines }
    }
    const imagesOfTemplates = async (): Promise<string[]> => {
      const listed = await home().gibil(['image', 'list', '--json'])
      const { images = [] } = { images: JSON.parse(listed.stdout) as { name: string }[] }
      return images.map(({ name }) => name).filter((name) => name.startsWith('e2b-templates/'))
    }

    beforeAll(async () => {
      context = await mkdtemp(join(tmpdir(), 'gibil-e2b-context-'))
      await mkdir(join(context, 'app'))
      await mkdir(join(context, 'tree', 'deep'), { recursive: true })
      await writeFile(join(context, 'app', 'run.sh'), '#!/bin/sh\necho ran\n')
      await writeFile(join(context, 'app', 'data'), 'data')
      await writeFile(join(context, 'tree', 'deep', 'leaf'), 'leaf')
      await symlink('leaf', join(context, 'tree', 'deep', 'link'))
      await chmod(join(context, 'tree', 'deep', 'leaf'), 0o640)
    })
    afterAll(() => rm(context, { recursive: true, force: true }))

    test('need the image of this machine that they begin with, and say how it is made', async () => {
      const own = Template().fromTemplate('code-interpreter-v1')
      await expect(Template.build(own, 'no-base', connection())).rejects.toThrow(/gibil image build code-interpreter/)
    })

    test('are built of steps, again in no time, and make sandboxes', async () => {
      const first = await build('shop:v1', { tags: ['stable'] })
      expect(first.lines).toContain("Uploaded 'tree'")
      expect(first.lines).not.toContain('cached')
      const second = await build('shop:v2')
      expect(second.lines).toContain("Skipping upload of 'tree', already cached")
      expect(second.lines.filter((line) => line === 'cached')).toHaveLength(5)
      expect(second.templateId).toBe(first.templateId)

      const shop = await Sandbox.create('shop:stable', connection())
      const told = await shop.commands.run(
        'pwd; cat /tmp/started ~/made /root-was; ./run.sh; stat -c "%U %a" data; readlink ~/tree/deep/link; cat ~/tree/deep/leaf; echo " $PLACE"; pgrep -fc "^sleep 1000"',
      )
      expect(told.stdout.split('\n')).toEqual([
        '/srv/app',
        'started by user in /srv/app',
        'user /home/user green/here',
        '0',
        'ran',
        'user 750',
        'leaf',
        'leaf green/here',
        '1',
        '',
      ])
      expect(await shop.getInfo()).toMatchObject({ cpuCount: 1, memoryMB: 512 })
      await shop.kill()
    })

    test('tell which step failed, and what it printed', async () => {
      const broken = Template().fromTemplate('base').runCmd('true').runCmd('echo so near; exit 7')
      const failed = await Template.build(broken, 'broken', connection()).catch((error: unknown) => error)
      expect(failed).toBeInstanceOf(BuildError)
      expect(String(failed)).toContain("failed to run command 'echo so near; exit 7': command failed: exit status 7")
      const background = await Template.buildInBackground(broken, 'broken', connection())
      const state = () => Template.getBuildStatus(background, connection())
      expect((await state()).status).toBe('building')
      await expect.poll(async () => (await state()).status, { timeout: 60_000 }).toBe('error')
      const { reason, logEntries } = await state()
      expect(reason?.step).toBe('2')
      expect(logEntries.map(({ message }) => message)).toContain('so near')
      await expect(Sandbox.create('broken', connection())).rejects.toThrow(/404/)
      const asStranger = Template().fromTemplate('base').runCmd('whoami', { user: 'nobody1' })
      await expect(Template.build(asStranger, 'broken', connection())).rejects.toThrow(
        "failed to run command 'whoami': command failed: unauthenticated: invalid username: 'nobody1'",
      )
      const endless = Template().fromTemplate('base').setStartCmd('echo no luck; exit 3', 'test -e /ready')
      await expect(Template.build(endless, 'broken', connection())).rejects.toThrow(
        /the start command ended with 3: .*no luck/s,
      )
    })

    test('are called by tags, by who made them', async () => {
      const { templateId } = await build('shop')
      const tagsOf = async () => (await Template.getTags(templateId, connection())).map(({ tag }) => tag).sort()
      expect(await Template.assignTags('shop:v1', ['prod'], connection())).toMatchObject({ tags: ['prod'] })
      expect(await tagsOf()).toEqual(['default', 'prod', 'stable', 'v1', 'v2'])
      await Template.removeTags('shop', ['prod', 'v1', 'stable'], connection())
      expect(await tagsOf()).toEqual(['default', 'v2'])
      await expect(Template.removeTags('shop', 'prod', connection())).rejects.toThrow(/404/)
      await expect(Template.assignTags('shop', ':bad', connection())).rejects.toThrow(/400/)
      // The build that only those tags meant is no image any more.
      const images = await imagesOfTemplates()
      expect(images).toHaveLength(2)

      const stranger = { ...connection(), apiKey: await newKey('template-stranger') }
      expect(await Template.exists('shop', connection())).toBe(true)
      for (const name of ['shop', templateId]) expect(await Template.exists(name, stranger)).toBe(false)
      await expect(Template.getTags(templateId, stranger)).rejects.toThrow(/404/)
      for (const image of images) await expect(Sandbox.create(image, stranger)).rejects.toThrow(/404/)
      const upload = `${connection().apiUrl}/templates/${templateId}/files/${'0'.repeat(64)}?expires=9999999999&signature=x`
      expect((await fetch(upload, { method: 'PUT', body: 'x' })).status).toBe(401)
    })

    test('are kept over a restart, and leave nothing when they are deleted', async () => {
      await home().gibil(['down'])
      await home().startDaemon()
      // It opens again after the daemon itself is there.
      await expect.poll(() => Template.exists('shop', connection()).catch(() => false)).toBe(true)
      const shop = await Sandbox.create('shop:v2', connection())
      const [listed] = (await (
        await fetch(`${connection().apiUrl}/templates`, { headers: { 'x-api-key': connection().apiKey } })
      ).json()) as { names: string[] }[]
      expect(listed?.names).toEqual(['broken'])
      for (const name of ['shop', 'broken']) {
        const gone = await fetch(`${connection().apiUrl}/templates/${name}`, {
          method: 'DELETE',
          headers: { 'x-api-key': connection().apiKey },
        })
        expect(gone.status).toBe(204)
      }
      expect(await imagesOfTemplates()).toEqual([])
      expect(await Template.exists('shop', connection())).toBe(false)
      // What runs goes on, and keeps what it is made of.
      expect((await shop.commands.run('cat data')).stdout).toBe('data')
      await shop.kill()
    })
  })
}
