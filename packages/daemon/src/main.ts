/** The daemon as a process: reads its arguments, starts, and stops when it is told to. */
import { enableCompileCache } from 'node:module'
import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { isLogLevel } from './process/log-level.ts'

const usage = `gibild: the daemon of Gibil

  --home DIR        its state (default $GIBIL_HOME, else /var/lib/gibil as root, else ~/.gibil)
  --port N          on 127.0.0.1 (default: any that is free)
  --proxy N         where published ports are served, on 127.0.0.1; off: nowhere (default $GIBIL_PROXY, else 7080 or any that is free)
  --ssh [ADDRESS:]N where stock ssh reaches boxes, on 127.0.0.1 if no address is given; off: nowhere (default $GIBIL_SSH, else 7022 or any that is free)
  --foreground      log to standard error instead of gibild.log in the home
  --pool N          spare boxes made ahead, at most (default $GIBIL_POOL, else 16; 0: none)
  --log-level NAME  fatal, error, warn, info, debug, trace or silent (default info)
`

/** Spares take a slot each, of which a home has 1022. */
const mostSpares = 256

function defaultHome(): string {
  return process.env['GIBIL_HOME'] || (process.getuid?.() === 0 ? '/var/lib/gibil' : join(homedir(), '.gibil'))
}

function fail(message: string): never {
  process.stderr.write(`gibild: ${message}\n`)
  process.exit(2)
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        home: { type: 'string' },
        port: { type: 'string' },
        pool: { type: 'string' },
        proxy: { type: 'string' },
        ssh: { type: 'string' },
        foreground: { type: 'boolean', default: false },
        'log-level': { type: 'string', default: 'info' },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : error}\n${usage}`)
  }
}

function portOf(text: string): number | 'auto' | 'off' {
  if (text === 'auto' || text === 'off') return text
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535
    ? Number(text)
    : fail(`"${text}" is neither a port nor off`)
}

/** `7022`, `0.0.0.0:7022`, `[::]:7022`, `192.168.1.2:auto` or `off`. */
function sshAddressOf(text: string): { host: string; port: number | 'auto' } | 'off' {
  const [, host = '127.0.0.1', port = ''] = /^(?:\[?(.*?)\]?:)?([^:]*)$/.exec(text) ?? []
  if (isIP(host) === 0) fail(`"${host}" is no address: one of this machine is wanted, or 0.0.0.0 for all`)
  const wanted = portOf(port)
  return wanted === 'off' ? wanted : { host, port: wanted }
}

async function main(): Promise<void> {
  const {
    home = defaultHome(),
    port,
    pool = process.env['GIBIL_POOL'] || '16',
    proxy = process.env['GIBIL_PROXY'] || 'auto',
    ssh = process.env['GIBIL_SSH'] || 'auto',
    foreground,
    'log-level': logLevel,
    help,
  } = readArguments()
  if (help) {
    process.stdout.write(usage)
    return
  }
  if (!isLogLevel(logLevel)) return fail(`"${logLevel}" is no log level`)
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) return fail(`"${port}" is no port`)
  if (!(/^\d{1,3}$/.test(pool) && Number(pool) <= mostSpares)) return fail(`"${pool}" is no number up to ${mostSpares}`)

  // Not in the temporary directory, where Node would put it: others could write there what root then runs.
  enableCompileCache(join(resolve(home), 'cache', 'node'))
  const { runDaemon } = await import('./run-daemon.ts')
  process.exitCode = await runDaemon({
    home,
    foreground,
    logLevel,
    pool: Number(pool),
    proxy: portOf(proxy),
    ssh: sshAddressOf(ssh),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(process.env['GIBIL_FAILPOINT'] ? { failpoint: process.env['GIBIL_FAILPOINT'] } : {}),
  })
}

await main()
