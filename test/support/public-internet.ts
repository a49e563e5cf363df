import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { execa } from 'execa'

/**
 * A piece of public internet on this machine: a network namespace of the test's own with an address from the range that
 * RFC 5737 keeps for documentation, one hop from this host. Boxes reach it as they would reach any public host.
 */
export interface PublicInternet extends AsyncDisposable {
  readonly address: string
  /** This host's own address on the link to it. */
  readonly hostAddress: string
  /** Starts a program there; it ends with the namespace. */
  start(argv: readonly [string, ...string[]]): ChildProcess
}

/** `others`: public addresses that lead there too until its end, from the whole of this machine. */
export async function makePublicInternet(others: readonly string[] = []): Promise<PublicInternet> {
  const netns = `internet-${process.pid}`
  const [near, far] = [`inet${process.pid}`.slice(0, 14), `pub${process.pid}`.slice(0, 14)]
  const subnet = `198.51.100.${((process.pid % 200) % 62) * 4}`
  const base = Number(subnet.split('.').at(-1))
  const [hostAddress, address] = [`198.51.100.${base + 1}`, `198.51.100.${base + 2}`]
  const children: ChildProcess[] = []
  const ip = (...args: string[]): Promise<unknown> => execa('ip', args)
  const inside = (...args: string[]): Promise<unknown> => execa('ip', ['-n', netns, ...args])

  const dispose = async (): Promise<void> => {
    for (const child of children) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    await execa('ip', ['link', 'delete', near], { reject: false })
    await execa('ip', ['netns', 'delete', netns], { reject: false })
  }

  try {
    await ip('netns', 'add', netns)
    await ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', netns)
    await ip('address', 'add', `${hostAddress}/30`, 'dev', near)
    await ip('link', 'set', near, 'up')
    await inside('address', 'add', `${address}/30`, 'dev', far)
    await inside('link', 'set', far, 'up')
    await inside('link', 'set', 'lo', 'up')
    for (const other of others) {
      await inside('address', 'add', `${other}/32`, 'dev', 'lo')
      // Goes with the link.
      await ip('route', 'add', `${other}/32`, 'via', address, 'dev', near)
    }
    // Machines of the simulator of Hetzner Cloud come with their own addresses.
    await inside('route', 'add', '198.18.0.0/15', 'via', hostAddress)
  } catch (error) {
    await dispose()
    throw error
  }

  return {
    address,
    hostAddress,
    start(argv) {
      const child = spawn('ip', ['netns', 'exec', netns, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] })
      children.push(child)
      return child
    },
    [Symbol.asyncDispose]: dispose,
  }
}

/** Waits until a program has printed a line that holds this text. */
export async function printed(child: ChildProcess, text: string): Promise<void> {
  let seen = ''
  for await (const chunk of child.stdout ?? []) {
    seen += String(chunk)
    if (seen.includes(text)) return
  }
  throw new Error(`The program ended before it printed "${text}": ${seen}`)
}
