import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../client.ts'
import { must, mustEqual } from '../failure.ts'
import type { BoxModel } from '../model.ts'

const hash = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')

/** What was written is what comes back, with the exit code that was asked for. */
export async function echo(client: Client, box: BoxModel): Promise<void> {
  const { random } = client
  const [out, err, exitCode] = [random.text(random.int(0, 300)), random.text(random.int(0, 100)), random.int(0, 255)]
  const env = { SAY: out, COMPLAIN: err }
  const script = `printf %s "$SAY"; printf %s "$COMPLAIN" >&2; exit ${exitCode}`
  const result = await client.get(box, `run echo ${exitCode}`, () => client.handle(box).run(script, { env }))
  const { durationMs: _, ...rest } = result
  mustEqual(box, 'what a command printed', rest, {
    exitCode,
    signal: null,
    timedOut: false,
    stdout: out,
    stderr: err,
    truncated: false,
  })
}

/** Input goes in whole and comes out whole. */
export async function feed(client: Client, box: BoxModel): Promise<void> {
  const { random } = client
  const stdin = random.text(random.chance(0.3) ? random.int(100_000, 400_000) : random.int(0, 2000))
  const { stdout } = await client.get(box, `run cat ${stdin.length}`, () => client.handle(box).run(['cat'], { stdin }))
  must(box, `${stdin.length} characters of input came back as ${stdout.length}`, stdout === stdin)
}

/** Input sent bit by bit to a slow reader: it comes whole over a kill of the daemon, or the command is said to have been interrupted. */
export async function pour(client: Client, box: BoxModel): Promise<void> {
  const pieces = Array.from({ length: client.random.int(1, 20) }, () =>
    client.random.bytes(client.random.int(1, 30_000)),
  )
  const kills = client.daemon.kills
  const script = 'while read -r -N 20000 -t 60 part; do printf %s "$part"; sleep 0.02; done; printf %s "$part"'
  const hex = pieces.map((piece) => piece.toString('hex'))
  const outcome = await client.ask(box, `pour ${hex.join('').length}`, async () => {
    const stream = await client.handle(box).stream(script, { stdin: true, reattachMs: 120_000 })
    const write = async (): Promise<void> => {
      for (const piece of hex) {
        await new Promise<void>((resolve, reject) => {
          stream.stdin.write(piece, (error) => (error ? reject(error) : resolve()))
        })
      }
      stream.stdin.end()
    }
    // What ends the writing ends the reading too, and is thrown there.
    const written = write().catch(() => undefined)
    let text = ''
    for await (const { data } of stream) text += Buffer.from(data).toString()
    await written
    return { text, lost: stream.lost, exit: await stream.exit }
  })
  if (outcome.is === 'cut') {
    must(box, 'input was lost without a kill', client.daemon.kills !== kills || client.daemon.wasAwaySince(kills))
    await client.get(box, 'run pkill', () =>
      client.handle(box).run(['pkill', '-f', 'read -r -N 2000[0]'], { user: 'root' }),
    )
    return
  }
  must(box, 'pouring was refused', outcome.is === 'answer', outcome)
  const { text, lost, exit } = outcome.value
  mustEqual(box, 'how pouring ended', { lost, code: exit.exitCode }, { lost: 0, code: 0 })
  must(box, `${hex.join('').length} bytes of input came back as ${text.length}`, text === hex.join(''))
}

/** Megabytes of output, byte for byte; cut where a limit was given. */
export async function flood(client: Client, box: BoxModel): Promise<void> {
  const { random } = client
  const lines = random.int(10_000, 400_000)
  const whole = Array.from({ length: lines }, (_, index) => `${index + 1}\n`).join('')
  const maxOutputBytes = random.chance(0.3) ? random.int(1000, whole.length) : undefined
  const kept = maxOutputBytes ?? 8 * 1024 * 1024
  const { stdout, truncated, exitCode } = await client.get(box, `run seq ${lines} of ${kept}`, () =>
    client.handle(box).run(['seq', String(lines)], { maxOutputBytes }),
  )
  mustEqual(box, 'exit code of seq', exitCode, 0)
  mustEqual(box, 'truncated', truncated, whole.length > kept)
  must(box, `seq ${lines} came back as ${stdout.length} bytes`, hash(stdout) === hash(whole.slice(0, kept)))
}

/** Its environment, user and directory are those that were asked for. */
export async function environment(client: Client, box: BoxModel): Promise<void> {
  const user = client.random.pick(['agent', 'root'])
  const cwd = client.random.pick(['/tmp', '/usr', '~'])
  const [name, value] = Object.entries(box.asked.env ?? {}).at(-1) ?? ['SOAK', '']
  const script = `id -un; pwd; printf %s "$${name}"`
  const { stdout } = await client.get(box, `run env ${user} ${cwd}`, () =>
    client.handle(box).run(script, { user, cwd }),
  )
  const home = user === 'root' ? '/root' : '/home/agent'
  mustEqual(box, 'user, directory and environment', stdout, `${user}\n${cwd === '~' ? home : cwd}\n${value}`)
}

/** Ends that are no exit code, and starts that are none. */
export async function oddEnds(client: Client, box: BoxModel): Promise<void> {
  const handle = client.handle(box)
  switch (client.random.int(0, 4)) {
    case 0: {
      const { signal, exitCode } = await client.get(box, 'run kill', () => handle.run('kill -KILL $$'))
      return mustEqual(box, 'a command that killed itself', { signal, exitCode }, { signal: 'SIGKILL', exitCode: null })
    }
    case 1: {
      const result = await client.get(box, 'run timeout', () => handle.run('sleep 100', { timeoutMs: 300 }))
      return mustEqual(box, 'timedOut', result.timedOut, true)
    }
    case 2:
      return client.refused(box, 'run nothing', 'command_not_found', () => handle.run(['/no/such/program']))
    case 3:
      return client.refused(box, 'run nobody', 'user_not_found', () => handle.run('true', { user: 'nobody-here' }))
    default:
      return abandoned(client, box)
  }
}

/** A command whose caller leaves is killed. */
async function abandoned(client: Client, box: BoxModel): Promise<void> {
  const mark = `left-${client.random.word(10)}`
  const signal = AbortSignal.timeout(client.random.int(1, 200))
  const kills = client.daemon.kills
  const outcome = await client.ask(box, `run ${mark} and leave`, () =>
    client.handle(box).run(['bash', '-c', `: ${mark}; sleep 1000 & wait`], { signal }),
  )
  if (outcome.is === 'cut') {
    // The command goes on, as a daemon that is killed can end nothing.
    await client.get(box, 'run pkill', () => client.handle(box).run(['pkill', '-f', mark], { user: 'root' }))
    return
  }
  must(box, 'a command that was left gave an answer', outcome.is === 'refusal')
  mustEqual(box, 'leaving a command', outcome.error.code, 'cancelled')
  const runs = async (): Promise<boolean> =>
    (await client.get(box, 'jobs', () => client.handle(box).jobs.list())).some(
      ({ argv, exit }) => exit === null && argv.some((arg) => arg.includes(mark)),
    )
  for (let tries = 0; (await runs()) && client.daemon.kills === kills; tries += 1) {
    must(box, `the command ${mark} runs long after its caller left`, tries < 100)
    await sleep(100)
  }
  if (client.daemon.kills !== kills) {
    await client.get(box, 'run pkill', () => client.handle(box).run(['pkill', '-f', mark], { user: 'root' }))
  }
}

/** A command with an effect: it has it once, or when it was cut off once or never. */
export async function append(client: Client, box: BoxModel): Promise<void> {
  const marker = client.random.word(12)
  const outcome = await client.ask(box, `append ${marker}`, () =>
    client.handle(box).run(`echo ${marker} >> /tmp/soak-log || exit 9`, { check: true }),
  )
  const read = async (): Promise<string[]> => {
    const script = 'cat /tmp/soak-log 2>/dev/null || true'
    const { stdout } = await client.get(box, 'run cat log', () => client.handle(box).run(script))
    return stdout.split('\n').slice(0, -1)
  }
  if (outcome.is === 'refusal') mustEqual(box, 'the refusal of an append', outcome.error.code, 'none')
  // What was cut off may still be about to be done.
  if (outcome.is === 'cut') await sleep(500)
  const log = await read()
  if (outcome.is === 'answer' || log.at(-1) === marker) box.markers.push(marker)
  mustEqual(box, 'its log', log, box.markers)
}
