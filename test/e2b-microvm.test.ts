import { Sandbox } from 'e2b'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { full } from './support/full-form.ts'
import { makeHome, type TestHome } from './support/home.ts'

/** Counts in its memory alone, and tells how far it is to whoever asks. */
const counter = `
import http.server, threading, time
count = 0
def on():
    global count
    while True:
        count += 1
        time.sleep(0.05)
threading.Thread(target=on, daemon=True).start()
class Tell(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(count).encode())
    def log_message(self, *_): pass
http.server.HTTPServer(('127.0.0.1', 8000), Tell).serve_forever()
`

describe.runIf(full)('sandboxes of E2B that are microVMs', () => {
  let home: TestHome
  let connection: { apiKey: string; apiUrl: string; sandboxUrl: string }
  beforeAll(async () => {
    home = await makeHome('e2b')
    await home.startDaemon()
    const setup = await home.gibil(['e2b', 'setup', '--no-build', '--port', '7853', '--json'])
    expect(setup.exitCode, setup.stderr).toBe(0)
    const { variables } = JSON.parse(setup.stdout)
    connection = {
      apiKey: variables.E2B_API_KEY,
      apiUrl: variables.E2B_API_URL,
      sandboxUrl: variables.E2B_SANDBOX_URL,
    }
  })
  afterAll(() => home?.[Symbol.asyncDispose]())

  test('keep their memory over pauses and in forks, and their data and boot too', { timeout: 900_000 }, async () => {
    const sandbox = await Sandbox.create({ ...connection, timeoutMs: 1_800_000 })
    const ask = async (one: Sandbox): Promise<number> =>
      Number((await one.commands.run('curl -sS http://127.0.0.1:8000', { timeoutMs: 0 })).stdout)
    const bootOf = async (one: Sandbox) => (await one.commands.run('cat /proc/sys/kernel/random/boot_id')).stdout
    await sandbox.files.write('counter.py', counter)
    await sandbox.commands.run('python3 counter.py', { background: true, timeoutMs: 0 })
    await expect.poll(() => ask(sandbox).catch(() => 0), { timeout: 120_000 }).toBeGreaterThan(0)
    const boot = await bootOf(sandbox)
    let last = await ask(sandbox)
    for (let cycle = 0; cycle < 20; cycle += 1) {
      await sandbox.files.write(`data/${cycle}`, `of cycle ${cycle}`)
      expect(await sandbox.pause()).toBe(true)
      await sandbox.connect({ timeoutMs: 1_800_000 })
      const now = await ask(sandbox)
      expect(now).toBeGreaterThan(last)
      last = now
    }
    expect(await bootOf(sandbox)).toBe(boot)
    for (let cycle = 0; cycle < 20; cycle += 1) {
      expect(await sandbox.files.read(`data/${cycle}`)).toBe(`of cycle ${cycle}`)
    }
    const [fork] = await sandbox.fork({ timeoutMs: 600_000 })
    if (!(fork instanceof Sandbox)) throw fork
    expect(await ask(fork)).toBeGreaterThan(last)
    expect(await bootOf(fork)).toBe(boot)
    await fork.kill()
    expect(await ask(sandbox)).toBeGreaterThan(last)
    await sandbox.kill()
  })
})
