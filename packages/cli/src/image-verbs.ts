import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { errorTable, formatBytes, formatDuration, GibilError, type Image, type LongCallOptions } from '@gibil/sdk'
import { bakedIfAny, bakedTable, bakeImage, listBaked } from './bake-verb.ts'
import { environment } from './options/parse.ts'
import { createProgress } from './output/progress.ts'
import { describeError } from './output/report-error.ts'
import { clean, table } from './output/text.ts'
import type { Session } from './session.ts'

interface BuildFlags {
  readonly name?: string
  readonly recipe?: string
  readonly dockerfile?: string
  readonly buildArg?: string[]
  readonly cache: boolean
}

interface PullFlags {
  readonly name?: string
  readonly plainHttp?: boolean
  readonly username?: string
  readonly passwordStdin?: boolean
}

/** The verbs below `gibil image`. */
export const imageVerbs = { list, bake: bakeImage, build, pull, import: importTar, save, remove, prune }

interface ListFlags {
  readonly quiet?: boolean
  readonly provider?: string
}

/** Of this machine and of a cloud where there is a token for one; with `--json` of one of them. */
async function list(session: Session, { quiet, provider = 'both' }: ListFlags): Promise<void> {
  if (provider === 'hetzner') return listBaked(session, quiet === true)
  const images = await session.gibil.images.list({ signal: session.signal })
  const both = provider === 'both' && !session.json && !quiet
  const baked = both ? await bakedIfAny(session) : []
  if (images.length === 0 && baked.length === 0) session.note('No images. Build one: gibil image build base\n')
  session.emit(images, () => {
    if (quiet) return images.map((image) => `${image.name}\n`).join('')
    const here = images.length === 0 ? '' : imageTable(images, session)
    const there = baked.length === 0 ? '' : bakedTable(baked, session)
    return here && there ? `${here}\n${there}` : `${here}${there}`
  })
}

function imageTable(images: readonly Image[], { colors }: Session): string {
  const rows = images.map((image) => [
    image.name,
    formatBytes(image.sizeBytes),
    String(image.layers),
    `${formatDuration(Date.now() - Date.parse(image.createdAt))} ago`,
    image.digest.slice(0, 19),
    image.source,
  ])
  return table(['NAME', 'SIZE', 'LAYERS', 'MADE', 'DIGEST', 'SOURCE'], rows, colors.dim)
}

async function build(session: Session, what: string, flags: BuildFlags): Promise<void> {
  const args = flags.buildArg ? environment(flags.buildArg, session.env) : undefined
  const common = {
    ...(flags.dockerfile === undefined ? {} : { dockerfile: flags.dockerfile }),
    ...(args === undefined ? {} : { args }),
    ...(flags.cache ? {} : { noCache: true }),
  }
  const directory = resolve(session.cwd, what)
  const recipe = flags.recipe ?? (/^[a-z0-9][a-z0-9-]*$/.test(what) && !(await isThere(directory)) ? what : undefined)
  if (recipe !== undefined) {
    const request = { name: flags.name ?? recipe, recipe, ...common }
    return made(session, request.name, (options) => session.gibil.images.build(request, options))
  }
  const file = resolve(directory, flags.dockerfile ?? 'Dockerfile')
  if (!(await isThere(file))) {
    throw new GibilError('invalid_request', `There is no ${file}.`, {
      hint: 'Name a directory with a Dockerfile, or a recipe: gibil image build base',
    })
  }
  const request = { name: flags.name ?? basename(directory).toLowerCase(), context: directory, ...common }
  return made(session, request.name, (options) => session.gibil.images.build(request, options))
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

async function pull(session: Session, reference: string, flags: PullFlags): Promise<void> {
  const { name, plainHttp, username } = flags
  const password = flags.passwordStdin ? (await textOf(session)).trim() : undefined
  const request = {
    reference,
    ...(name === undefined ? {} : { name }),
    ...(plainHttp === undefined ? {} : { plainHttp }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  }
  return made(session, name ?? reference, (options) => session.gibil.images.pull(request, options))
}

async function textOf({ stdin }: Session): Promise<string> {
  let text = ''
  for await (const chunk of stdin) {
    text += String(chunk)
    if (text.length > 64 * 1024) throw new GibilError('invalid_request', 'That is too long for a password.')
  }
  return text
}

async function importTar(session: Session, file: string, { name }: { name: string }): Promise<void> {
  if (file !== '-') {
    await access(resolve(session.cwd, file)).catch((error: unknown) => {
      throw new GibilError('file_not_found', `${file} does not exist here.`, { hint: 'Check the path.', cause: error })
    })
  }
  const tar = file === '-' ? session.stdin : createReadStream(resolve(session.cwd, file))
  return made(session, name, (options) => session.gibil.images.import(name, tar, options))
}

async function made(session: Session, name: string, work: (options: LongCallOptions) => Promise<Image>): Promise<void> {
  const progress = session.json ? undefined : createProgress(session, name)
  try {
    const image = await work({ onProgress: progress?.onProgress, signal: session.signal })
    progress?.end()
    session.emit(image, `${clean(image.name)}\n`)
    session.note(
      `${session.colors.green('✓')} ${clean(image.name)}, ${formatBytes(image.sizeBytes)}, ${image.digest.slice(0, 19)}\n`,
    )
    session.note(`  next: gibil create --image ${clean(image.name)}\n`)
  } finally {
    progress?.end()
  }
}

async function save(session: Session, box: string, name: string | undefined): Promise<void> {
  const request = { box, ...(name === undefined ? {} : { name }) }
  return made(session, name ?? box, (options) => session.gibil.images.save(request, options))
}

async function remove(session: Session, names: string[], { provider }: { provider?: string }): Promise<number> {
  const { images } = session.gibil
  const { signal } = session
  const failures: GibilError[] = []
  const removed: string[] = []
  await Promise.all(
    names.map(async (name) => {
      try {
        if (provider === 'hetzner') await images.removeBaked(name, { provider, signal })
        else await images.remove(name, { signal })
        removed.push(name)
        session.note(`${session.colors.green('✓')} ${clean(name)} removed\n`)
      } catch (thrown) {
        const error = GibilError.from(thrown)
        if (names.length === 1) throw error
        failures.push(error)
        session.note(describeError(error, session))
      }
    }),
  )
  session.emit({ removed, failures: failures.map((error) => error.toBody().error) }, '')
  const [first] = failures
  return first ? errorTable[first.code].exit : 0
}

async function prune(session: Session): Promise<void> {
  const result = await session.gibil.images.prune({ signal: session.signal })
  session.emit(result, '')
  session.note(
    `${session.colors.green('✓')} ${result.removed.length} things removed, ${formatBytes(result.freedBytes)} freed\n`,
  )
}
