import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, posix, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Files, GibilError } from '@gibil/sdk'
import type { Session } from './session.ts'
import { write } from './streaming.ts'

/** One end of a copy. */
export type Place =
  | { readonly kind: 'box'; readonly box: string; readonly path: string }
  | { readonly kind: 'local'; readonly path: string }
  | { readonly kind: 'stream' }

/** `box:path`, `-`, or a path here; a path here that holds a colon is written with `./` before it. */
export function parsePlace(text: string): Place {
  if (text === '-') return { kind: 'stream' }
  const match = /^([A-Za-z0-9][\w-]*(?:@[\w-]+)?):(.*)$/s.exec(text)
  if (match?.[1]) return { kind: 'box', box: match[1], path: match[2] || '~' }
  return { kind: 'local', path: text }
}

/** Bytes read or written at once: pieces of the usual 64 KiB take a fifth more work. */
const pieces = { highWaterMark: 1 << 20 }

export interface Copied {
  readonly from: string
  readonly to: string
  readonly skipped: readonly { readonly path: string; readonly reason: string }[]
}

/** `dir/.` means what is in the directory, not the directory. */
const contentsOnly = (path: string): boolean => /(?:^|\/)\.$/.test(path)

/** A file or directory of this machine, or stdin, into a box. */
export async function copyIn(
  session: Session,
  from: string | undefined,
  files: Files,
  to: string,
  user?: string,
): Promise<Copied> {
  const { signal } = session
  if (from === undefined) {
    const info = await files.write(to, session.stdin, { user, signal })
    return { from: '-', to: info.path, skipped: [] }
  }
  const source = resolve(session.cwd, from)
  const info = await stat(source).catch((error: unknown) => {
    throw new GibilError('file_not_found', `${from} does not exist on this machine.`, {
      hint: 'Check the path.',
      cause: error,
    })
  })
  const target = await nameInBox(files, to, basename(source), info.isDirectory() && contentsOnly(from))
  if (info.isDirectory()) {
    await files.mkdir(target, { user, signal })
    await files.upload(source, target, { user, signal })
  } else {
    await files.write(target, createReadStream(source, pieces), { user, mode: info.mode & 0o777, signal })
  }
  return { from: source, to: target, skipped: [] }
}

/** As `cp` does it: into a directory that is there, else under the new name. */
async function nameInBox(files: Files, to: string, name: string, contents: boolean): Promise<string> {
  if (contents) return to
  if (to.endsWith('/')) return posix.join(to, name)
  const info = await files.stat(to).catch((error: unknown) => {
    if (GibilError.is(error) && error.code === 'file_not_found') return undefined
    throw error
  })
  return info?.kind === 'directory' ? posix.join(to, name) : to
}

/** A file or directory of a box to this machine, or a file to stdout. */
export async function copyOut(session: Session, files: Files, from: string, to: string | undefined): Promise<Copied> {
  const { signal } = session
  if (to === undefined) {
    for await (const chunk of await files.stream(from, { signal })) await write(session.stdout, chunk)
    return { from, to: '-', skipped: [] }
  }
  const source = await files.stat(from, { signal })
  const name = basename(source.path)
  const target = await nameHere(resolve(session.cwd, to), to, name, source.kind === 'directory' && contentsOnly(from))
  if (source.kind === 'directory') {
    const { skipped } = await files.download(from, target, { signal })
    return { from: source.path, to: target, skipped }
  }
  const content = await files.stream(from, { signal })
  const temporary = join(dirname(target), `.gibil-${randomBytes(8).toString('hex')}`)
  try {
    await pipeline(content, createWriteStream(temporary, { ...pieces, flags: 'wx', mode: source.mode & 0o777 }), {
      signal,
    })
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw localError(error, target)
  }
  return { from: source.path, to: target, skipped: [] }
}

async function nameHere(path: string, asGiven: string, name: string, contents: boolean): Promise<string> {
  if (contents) return path
  const info = await stat(path).catch(() => undefined)
  return info?.isDirectory() || asGiven.endsWith('/') ? join(path, name) : path
}

function localError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  if (error.code === 'ENOENT')
    return new GibilError('file_not_found', `The directory of ${path} does not exist here.`, {
      hint: 'Make it first.',
      cause: error,
    })
  if (error.code === 'EACCES')
    return new GibilError('permission_denied', `${path} may not be written here.`, {
      hint: 'Choose another place.',
      cause: error,
    })
  return error
}
