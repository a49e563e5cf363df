import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Gibil } from '@gibil/sdk'
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest'
import { makeHome, root, type TestHome } from '../../../test/support/home.ts'
import { type CodeServer, startCodeServer } from './support/code-server.ts'
import { openWorkbench, type Workbench } from './support/workbench.ts'

let home: TestHome
let dir: string
let server: CodeServer
let vs: Workbench
let gibil: Gibil

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-vsix-'))
  const vsix = join(dir, 'gibil.vsix')
  await promisify(execFile)(process.execPath, [join(root, 'packages/vscode/build.ts'), vsix])
  home = await makeHome()
  gibil = Gibil.connect({ home: home.path })
  const settings = {
    'gibil.command': join(root, 'gibil'),
    'gibil.askBeforeEnd': '2h',
    // So that what a terminal shows is text of the page.
    'terminal.integrated.gpuAcceleration': 'off',
    'workbench.startupEditor': 'none',
    'workbench.secondarySideBar.defaultVisibility': 'hidden',
  }
  server = await startCodeServer(vsix, settings, { GIBIL_HOME: home.path, GIBIL_POOL: '0' })
  vs = await openWorkbench(server.url)
})
afterAll(async () => {
  gibil?.close()
  await vs?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await home?.[Symbol.asyncDispose]()
  if (dir) await rm(dir, { recursive: true, force: true })
})

/** Where `GIBIL_SCREENSHOTS` says, for whoever wants to see how it looks. */
const shot = async (name: string): Promise<void> => {
  const place = process.env['GIBIL_SCREENSHOTS']
  if (place) await vs.page.screenshot({ path: join(place, `${name}.png`) })
}
const names = async (): Promise<string[]> => (await gibil.list()).map(({ name }) => name)

test('without a daemon it says so, and finds the one that is started', async () => {
  await vs.page.locator('.activitybar a.action-label[aria-label^="Gibil"]').click()
  await vs.page.getByText('No daemon of Gibil answers.').waitFor()
  await vs.page.getByRole('button', { name: 'Start It', exact: true }).waitFor()
  await shot('no-daemon')
  const started = await home.startDaemon()
  expect(started.exitCode, started.stderr).toBe(0)
  await vs.page.getByText('There are no boxes yet.').waitFor()
  await shot('no-boxes')
})

test('a box is created by what it is needed for, and shown with state and time', async () => {
  onTestFailed(() => shot('failed-create'))
  await vs.command('Gibil: Create Box…')
  await vs.choose('By what it is needed for')
  await vs.choose('mine, or of an agent that I trust')
  await vs.choose('on this machine alone')
  await vs.answer('How long does it live?', '100m')
  await vs.choose('as usual')
  await shot('question')
  await vs.answer('What does it need?', '')
  await vs.choose('none')
  await vs.answer('What may an hour cost?', '0')
  await vs.page.getByText('This box does it').or(vs.page.getByPlaceholder('This box does it')).waitFor()
  await shot('choice')
  await vs.choose('container, image base')
  await vs.choose('Nothing')
  await vs.answer('What is it called?', 'work')
  await vs.row(/work.*running · 1h 3\dm left/).waitFor()
  expect(await names()).toEqual(['work'])
})

test('it asks before a box ends, and gives it an hour more', async () => {
  const asks = vs.notification(/work ends in 1h 3\dm; then it is destroyed\./)
  await asks.waitFor()
  await shot('box')
  await asks.getByRole('button', { name: 'Extend by 1 Hour' }).click()
  await vs.row(/work.*2h 3\dm left/).waitFor()
  const [box] = await gibil.list()
  expect(Date.parse(box?.lease.expiresAt ?? '') - Date.now()).toBeGreaterThan(150 * 60_000)
})

test('a command and a shell run in the box', async () => {
  onTestFailed(() => shot('failed-terminal'))
  await vs.command('Gibil: Run Command…')
  await vs.choose('work')
  await vs.answer('npm test', 'echo "in $(hostname) as $(whoami)"; exit 3')
  await expect.poll(vs.terminal).toMatch(/in work as agent[\s\S]*ended with exit code 3/)
  await vs.command('Gibil: Open Terminal')
  await vs.choose('work')
  await expect.poll(vs.terminal).toContain('agent@work')
  await vs.page.keyboard.type('stty size; echo $((6*7))\n')
  await expect.poll(vs.terminal).toMatch(/\d+ \d{2,3}[\s\S]*42/)
  await shot('terminal')
})

test('a port is published and taken back', async () => {
  await vs.command('Gibil: Publish Port…')
  await vs.choose('work')
  await vs.choose('Another port…')
  await vs.answer('Which port?', '3000')
  await vs.choose('Private')
  await vs.row('work').locator('.monaco-tl-twistie').click()
  const port = vs.row('port 3000')
  await port.waitFor()
  await shot('unfolded')
  // A row that is drawn anew under the pointer loses the click, which is then made again.
  const takeBack = async (): Promise<boolean> => {
    await port.hover()
    await port.getByRole('button', { name: 'Unpublish Port' }).click()
    return port.waitFor({ state: 'detached', timeout: 15_000 }).then(
      () => true,
      () => false,
    )
  }
  expect((await takeBack()) || (await takeBack())).toBe(true)
  expect((await gibil.list())[0]?.published).toEqual([])
})

test('a snapshot is taken, and forked from its line', async () => {
  onTestFailed(() => shot('failed-fork'))
  await vs.command('Gibil: Take Snapshot…')
  await vs.choose('work')
  await vs.answer('What is it called?', 'good')
  await vs.page.locator('.pane-header[aria-label^="Snapshots"]').click()
  const line = vs.row(/good.*of work/)
  await line.waitFor()
  await line.hover()
  await line.getByRole('button', { name: 'Fork…' }).click()
  await vs.answer('What is it called?', 'twin')
  await vs.row(/twin.*running/).waitFor()
  await shot('forked')
  expect(await names()).toEqual(['work', 'twin'])
})

test('without Remote-SSH, opening a folder names the extension that does it', async () => {
  await vs.command('Gibil: Open Folder by Remote-SSH')
  await vs.choose('work')
  await vs.notification(/Folders of boxes are opened by the extension \S+ssh/).waitFor()
})

test('its tools are there for agents', async () => {
  onTestFailed(() => shot('failed-mcp'))
  await vs.command('MCP: List Servers')
  await vs.choose('Gibil')
  await vs.choose('Start Server')
  await vs.page.locator('.view-line', { hasText: /Discovered\s\d+\stools/ }).waitFor()
  await shot('mcp')
})

test('a box is destroyed after a question, and gone at the daemon', async () => {
  onTestFailed(() => shot('failed-destroy'))
  await vs.command('Gibil: Destroy…')
  await vs.choose('twin')
  const dialog = vs.page.locator('.monaco-dialog-box')
  await dialog.getByText('Destroy twin?').waitFor()
  await shot('destroy')
  await dialog.getByRole('button', { name: 'Destroy' }).click()
  await vs.row('twin').waitFor({ state: 'detached' })
  expect(await names()).toEqual(['work'])
})
