import { createReadStream } from 'node:fs'
import { lstat, mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { decompress } from '../decompress.ts'
import { TarError } from '../tar-read.ts'
import { unpack } from '../unpack.ts'
import { identify, readUsers } from '../users.ts'
import { pathIn } from './configure.ts'
import { type CopyOptions, copySources } from './copy.ts'
import type { Heredocument, Instruction } from './parse.ts'
import { changeStage, readStage } from './read-stage.ts'
import { findSources, hashSources, type Source, type SourceTree } from './sources.ts'
import { lookupIn, type Stage } from './stage.ts'
import type { Build, StepMaker } from './step.ts'
import { expand, expandText, type Lookup, SyntaxProblem, splitWords } from './words.ts'

const knownFlags = ['chown', 'chmod', 'from', 'link']

const readMode = (text: string | undefined): number | null => {
  if (text === undefined) return null
  if (!/^[0-7]{3,4}$/.test(text)) throw new SyntaxProblem(`--chmod=${text} is not an octal mode such as 755.`)
  return Number.parseInt(text, 8)
}

const isUrl = (source: string): boolean => /^(https?|ftp|git|ssh):\/\/|^git@/.test(source)

const noIgnores = (): boolean => false

/** Writes here-documents as files. */
const writeHeredocs = async (
  folder: string,
  heredocs: readonly Heredocument[],
  lookup: Lookup,
): Promise<SourceTree> => {
  const root = join(folder, 'heredocs')
  await mkdir(root)
  for (const one of heredocs) {
    const content = one.expand ? expandText(one.content, lookup) : one.content
    await writeFile(join(root, one.name), content, { mode: 0o644 })
  }
  return { root, ignores: noIgnores }
}

const findAll = async (tree: SourceTree, patterns: readonly string[], where: string): Promise<Source[]> => {
  const found = await Promise.all(patterns.map((pattern) => findSources(tree, pattern)))
  const missing = patterns[found.findIndex((sources) => sources.length === 0)]
  if (missing !== undefined)
    throw new SyntaxProblem(`${JSON.stringify(missing)} is not in ${where}, or is ignored there.`)
  return found.flat()
}

/** Whether ADD unpacks a file: a tar archive, plain or compressed. */
const isArchive = async (path: string): Promise<boolean> => {
  if (!(await lstat(path)).isFile()) return false
  const handle = await open(path)
  try {
    const start = Buffer.alloc(512)
    const { bytesRead } = await handle.read(start, 0, 512, 0)
    const hex = start.subarray(0, bytesRead).toString('hex')
    const isCompressed = ['1f8b', '28b52ffd', 'fd377a585a00'].some((magic) => hex.startsWith(magic))
    return isCompressed || start.subarray(257, 262).toString('latin1') === 'ustar'
  } finally {
    await handle.close()
  }
}

/** ADD: unpacks archives beside each other, safely, and copies the rest. A compressed file that is no archive is copied. */
const addSources = async (
  build: Build,
  tree: SourceTree,
  sources: readonly Source[],
  options: CopyOptions,
  folder: string,
): Promise<void> => {
  for (const [at, source] of sources.entries()) {
    const unpacked = join(folder, `archive-${at}`)
    if ((await isArchive(source.path)) && (await unpackArchive(build, source, unpacked))) {
      const inside = { root: unpacked, ignores: noIgnores }
      await copySources(inside, [{ path: unpacked, name: source.name }], { ...options, owner: null, mode: null })
    } else
      await copySources(
        tree,
        [source],
        sources.length > 1 ? { ...options, target: `${options.target.replace(/\/$/, '')}/` } : options,
      )
  }
}

const unpackArchive = async (build: Build, source: Source, target: string): Promise<boolean> => {
  const { env, signal } = build.operation
  const failure = (message: string, cause: unknown) =>
    new GibilError('image_damaged', `${source.name}: ${message}`, { cause })
  try {
    await unpack(await decompress(createReadStream(source.path)), target, {
      kind: 'tree',
      env,
      signal,
      needsEnd: false,
      failure,
    })
    return true
  } catch (error) {
    if (GibilError.is(error) && error.cause instanceof TarError && error.cause.isNoArchive) return false
    throw error
  }
}

interface CopyInstruction {
  readonly sources: readonly string[]
  readonly target: string
  readonly chown: string | undefined
  readonly mode: number | null
  readonly from: string | undefined
}

const readInstruction = (build: Build, stage: Stage, instruction: Instruction): CopyInstruction => {
  const { keyword, flags, json, rest, heredocs } = instruction
  const lookup = lookupIn(stage)
  const flag = (name: string): string | undefined => {
    const value = flags.find((one) => one.name === name)?.value
    return value === null || value === undefined ? undefined : expand(value, lookup, build.escapeChar)
  }
  const unknown = flags.find((one) => !knownFlags.includes(one.name))
  if (unknown) throw new SyntaxProblem(`--${unknown.name} is not supported.`)
  const words =
    json ?? splitWords(rest, build.escapeChar).filter((word) => !(heredocs.length > 0 && word.startsWith('<<')))
  const paths = json ? [...json] : words.map((word) => expand(word, lookup, build.escapeChar))
  const target = paths.at(-1)
  const sources = paths.slice(0, -1)
  if (target === undefined || target === '' || sources.length + heredocs.length === 0) {
    throw new SyntaxProblem(`It must be ${keyword} <source>... <target>.`)
  }
  const url = sources.find(isUrl)
  if (url !== undefined)
    throw new SyntaxProblem(`${url} is not fetched; use RUN with curl or git, or put the file into the context.`)
  const from = flag('from')
  if (keyword === 'ADD' && from !== undefined) throw new SyntaxProblem('--from is for COPY only.')
  return { sources, target, chown: flag('chown'), mode: readMode(flag('chmod')), from }
}

/** COPY and ADD. */
export const copyStep: StepMaker = async (build, stage, instruction, index) => {
  const { sources, target, chown, mode, from } = readInstruction(build, stage, instruction)
  const path = pathIn(stage, target === '.' || target.endsWith('/.') ? `${target}/` : target)
  const several = sources.length + instruction.heredocs.length > 1
  const lookup = lookupIn(stage)
  const heredocs = instruction.heredocs.map((one) => [
    one.name,
    one.expand ? expandText(one.content, lookup) : one.content,
  ])
  const other = from === undefined ? undefined : await build.stageFor(from, index)
  const { tree } = build.context
  const content = other ? other.layers : await hashSources(tree, await findAll(tree, sources, 'the build context'))
  const key = [instruction.keyword, path, chown ?? null, mode, sources, heredocs, content, stage.config.workdir]

  return build.layer(stage, key, async (folder) => {
    const copyFrom = async (source: SourceTree, where: string) => {
      const found = await findAll(source, sources, where)
      return changeStage(build, stage, folder, async (merged) => {
        const named = chown === undefined ? undefined : identify(await readUsers(merged), chown)
        const owner = named ?? (other ? null : { uid: 0, gid: 0 })
        const full = several || found.length > 1 ? `${path.replace(/\/$/, '')}/` : path
        const options: CopyOptions = { merged, target: full, owner, mode, signal: build.operation.signal }
        if (instruction.keyword === 'ADD') await addSources(build, source, found, options, folder)
        else if (found.length > 0) await copySources(source, found, options)
        if (instruction.heredocs.length === 0) return
        const written = await writeHeredocs(folder, instruction.heredocs, lookup)
        const names = instruction.heredocs.map((one) => ({ path: join(written.root, one.name), name: one.name }))
        await copySources(written, names, { ...options, owner: owner ?? { uid: 0, gid: 0 } })
      })
    }
    if (!other) return copyFrom(tree, 'the build context')
    const place = join(folder, 'from')
    await mkdir(place)
    return readStage(build, other, place, (root) => copyFrom({ root, ignores: noIgnores }, `the stage ${from}`))
  })
}
