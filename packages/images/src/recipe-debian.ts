import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { findAptSources, publicSourceLines } from './apt-sources.ts'
import { inPhase, type OperationOptions } from './progress.ts'
import type { Recipe } from './recipe.ts'
import { type HostEnv, mustRun } from './tool.ts'

/** Left out of the image by dpkg as it unpacks. */
const excluded = [
  'path-exclude=/usr/share/man/*',
  'path-exclude=/usr/share/info/*',
  'path-exclude=/usr/share/locale/*',
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
  'force-unsafe-io',
]

/** What mmdebstrap says as it goes on, and what we call it. */
const phases = [
  ['running apt-get update', 'read package lists'],
  ['downloading packages', 'download packages'],
  ['extracting archives', 'extract packages'],
  ['installing essential packages', 'install essential packages'],
  ['installing remaining packages', 'install packages'],
  ['running --customize-hook', 'set up'],
] as const

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/**
 * Makes the Debian file system of a recipe in `folder/debian` by mmdebstrap and returns that path. Runs in namespaces of its
 * own, so that a killed build leaves no process and no mount.
 */
export const buildDebian = async (
  recipe: Recipe,
  folder: string,
  options: OperationOptions & { env: HostEnv },
): Promise<string> => {
  const { env, signal } = options
  const packages = [...recipe.packages, ...recipe.backports]
  const sources = await findAptSources(recipe, env, signal)
  const place = (name: string): string => join(folder, name)
  const target = place('debian')
  // A file, since a proxy may hold a password; mmdebstrap leaves it in the image, where the last hook removes it.
  await writeFile(
    place('apt.conf'),
    ['Acquire::Languages "none";', 'Acquire::Retries "3";', ...sources.settings, ''].join('\n'),
    {
      mode: 0o600,
    },
  )
  await writeFile(place('dpkg.cfg'), `${excluded.join('\n')}\n`)
  await writeFile(place('sources.list'), `${publicSourceLines(recipe.suite, recipe.backports.length > 0).join('\n')}\n`)
  const leftovers = ['/etc/apt/apt.conf.d/99mmdebstrap', '/etc/dpkg/dpkg.cfg.d/99mmdebstrap'].map(
    (path) => `"$1"${path}`,
  )
  const hooks = [
    ...recipe.setupPaths.map((path) => `chroot "$1" /bin/sh -s <${quote(path)}`),
    `rm -f ${leftovers.join(' ')} && cp ${quote(place('sources.list'))} "$1"/etc/apt/sources.list`,
  ]
  const log = { lines: [] as string[] }
  let phase: { name: string; since: number } | undefined
  const endPhase = () => {
    if (phase) options.onProgress?.({ phase: phase.name, ms: Math.round(performance.now() - phase.since) })
    phase = undefined
  }
  const onLine = (line: string) => {
    log.lines = [...log.lines.slice(-40), line]
    const name = phases.find(([start]) => line.startsWith(`I: ${start}`))?.[1]
    if (name === undefined || name === phase?.name) return
    endPhase()
    phase = { name, since: performance.now() }
    options.onProgress?.({ phase: phase.name })
  }
  await inPhase(options, 'debian', `${recipe.suite}, ${packages.length} packages`, async () => {
    const argv = ['mmdebstrap', '--mode=root', '--variant=apt', '--format=directory']
    const settings = [
      `--aptopt=${place('apt.conf')}`,
      `--dpkgopt=${place('dpkg.cfg')}`,
      `--include=${packages.join(',')}`,
    ]
    const customize = hooks.map((hook) => `--customize-hook=${hook}`)
    await mustRun(
      [...argv, ...settings, ...customize, recipe.suite, target, ...sources.lines],
      { env, signal, contained: true, onLine },
      (tail) => {
        const reason = log.lines.findLast((line) => /^E: /.test(line)) ?? tail.trim().split('\n').at(-1) ?? 'no output'
        return new GibilError('image_build_failed', `mmdebstrap failed: ${reason}`, {
          hint: 'Look at the log in the error; check the network and the package mirror of this host.',
          details: { log: log.lines.join('\n').slice(-4096) },
        })
      },
    )
    endPhase()
  })
  // Device nodes that mmdebstrap makes: every shape mounts a /dev of its own.
  const dev = join(target, 'dev')
  for (const name of await readdir(dev)) await rm(join(dev, name), { recursive: true })
  return target
}
