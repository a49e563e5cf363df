import { Readable } from 'node:stream'
import { GibilError } from '@gibil/contract'
import type { DriverOptions, DriverSpec } from '@gibil/core'
import type { Context } from './context.ts'
import type { Machine } from './names.ts'
import { boxdOf, runIn } from './start-up.ts'

/** What a user gives may install a lot, on an emulated processor. */
const limitMs = 1_800_000
const longestLine = 2000

/** Where cloud-init looks for files of its datasource NoCloud. They stay: by them it knows at later boots that it has done its work. */
const seedDirectory = '/var/lib/cloud/seed/nocloud'

/** What Gibil does itself, and cloud-init is not to do over; what the user gives comes on top. */
const ours = `#cloud-config
preserve_hostname: true
manage_etc_hosts: false
ssh_deletekeys: false
disable_root: true
ssh_pwauth: false
`

/**
 * cloud-init's own order of a first boot, and what its generator leaves behind in one. A stage that fails does not keep the next from
 * what it does, as at boot.
 */
const firstRun = `
rm -f /run/cloud-init/disabled
mkdir -p /run/cloud-init && : >/run/cloud-init/enabled
printf 'datasource_list: [ NoCloud, None ]\\n' >/run/cloud-init/cloud.cfg
status=0
cloud-init init --local || status=$?
cloud-init init || status=$?
cloud-init modules --mode=config || status=$?
cloud-init modules --mode=final || status=$?
exit $status
`

/**
 * Has cloud-init do what the user gave, in a machine whose start-up is over: it has never run there, so it runs as in a first boot. What it prints goes to
 * `onLine` as it comes. Where some of it fails the box is a box all the same, which is told and no more.
 */
export async function runCloudInit(
  context: Context,
  machine: Machine,
  { id, hostname, cloudInit }: Pick<DriverSpec, 'id' | 'hostname' | 'cloudInit'>,
  options: DriverOptions,
): Promise<void> {
  if (cloudInit === undefined) return
  const boxd = boxdOf(context, machine, options)
  const seed = {
    'meta-data': `instance-id: ${id}\nlocal-hostname: ${hostname}\n`,
    'network-config': 'config: disabled\n',
    'vendor-data': ours,
    'user-data': cloudInit,
  }
  for (const [name, text] of Object.entries(seed)) {
    await boxd.writeFile(`${seedDirectory}/${name}`, Readable.from([text]), { user: 'root', mode: '600' })
  }
  const lines = splitLines((line) => options.onLine?.(line))
  const { exitCode, output } = await runIn(boxd, ['/bin/sh', '-c', firstRun], limitMs, lines.push).catch(
    (error: unknown) => {
      if (!GibilError.is(error) || error.code !== 'command_not_found') throw error
      throw new GibilError(
        'unsupported_by_shape',
        'The image has no cloud-init, so the box cannot do what it was given.',
      )
    },
  )
  lines.end()
  if (exitCode === 0) return
  options.onLine?.('cloud-init: some of it failed; `cloud-init status --long` in the box says what')
  context.log('warn', 'cloud-init failed in a machine', { id, exitCode, said: output.slice(-2000) })
}

/** Whole lines of what comes in pieces. */
function splitLines(tell: (line: string) => void): { push(text: string): void; end(): void } {
  let rest = ''
  const told = (line: string): void => {
    const text = line.trimEnd().slice(0, longestLine)
    if (text !== '') tell(text)
  }
  return {
    push(text) {
      const lines = (rest + text).split('\n')
      rest = (lines.pop() ?? '').slice(-longestLine)
      lines.forEach(told)
    },
    end() {
      told(rest)
      rest = ''
    },
  }
}
