import { type TarHeader, toText } from './tar-format.ts'
import { type TarEntry, TarError } from './tar-read.ts'
import { encodeHeader, paddingOf, tarEnd } from './tar-write.ts'

/** `layer`: an OCI layer, whose `.wh.` names take files of lower layers away. `tree`: a file system or a build context as it is; `box`: of a box. */
export type ArchiveKind = 'layer' | 'tree' | 'box'

const kept = /^(security\.capability$|user\.)/
const keptOfBox = /^(security\.capability$|user\.|system\.posix_acl_(access|default)$)/
const opaque: ReadonlyMap<string, Buffer> = new Map([['trusted.overlay.opaque', Buffer.from('y')]])

const quoted = (bytes: string): string => JSON.stringify(toText(bytes).slice(0, 200))

/** The parts of a name below the root. Throws for a name that is absolute in disguise, or climbs. */
const partsOf = (name: string): string[] => {
  if (name.includes('\0')) throw new TarError('A name in the archive holds a NUL byte.')
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw new TarError(`The archive holds the name ${quoted(name)}, which leaves its root.`)
  return parts
}

const plainDirectory = (name: string, mtime: number): TarHeader => ({
  name,
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtime,
  link: '',
  xattrs: new Map(),
})

/**
 * Rewrites the entries of a hostile archive into one that cannot leave the folder it is unpacked to: relative names only, no way through a
 * symbolic link, hard links to files of the same archive only, no device nodes, no extended attributes but file
 * capabilities and `user.`, and ACLs of a box. Names with a leading slash count from the root, as in `tar`. What a layer takes away becomes overlayfs's form.
 */
class SafeEntries {
  readonly #kind: ArchiveKind
  readonly #seen = new Map<string, 'directory' | 'other' | 'whiteout'>()
  readonly #directories = new Map<string, TarHeader>()

  constructor(kind: ArchiveKind) {
    this.#kind = kind
  }

  /** What to write for an entry; the last header takes the entry's content. */
  headersFor(entry: TarHeader): TarHeader[] {
    const parts = partsOf(entry.name)
    const base = parts.at(-1)
    // The root itself stays as the store makes it.
    if (base === undefined) return []
    const above = parts.slice(0, -1)
    if (this.#kind === 'layer' && base.startsWith('.wh.'))
      return [...this.#parents(above, entry.mtime), ...this.#whiteout(above, base, entry)]
    if (entry.type === 'character' || entry.type === 'block') return []
    const name = parts.join('/')
    const xattrs = new Map([...entry.xattrs].filter(([key]) => (this.#kind === 'box' ? keptOfBox : kept).test(key)))
    const parents = this.#parents(above, entry.mtime)
    const link = entry.type === 'link' ? this.#hardLink(name, entry.link) : entry.link
    if (entry.type === 'symlink' && (link === '' || link.includes('\0')))
      throw new TarError(`The symbolic link ${quoted(name)} points nowhere.`)
    return [...parents, this.#remember({ ...entry, name, link, xattrs })]
  }

  /** A directory that takes the place of one that the same layer takes away hides what that one held. */
  #remember(header: TarHeader): TarHeader {
    const kind = header.type === 'directory' ? 'directory' : 'other'
    const before = this.#seen.get(header.name)
    if (before !== undefined && before !== 'whiteout' && before !== kind) {
      throw new TarError(`The archive holds ${quoted(header.name)} twice, once as a directory.`)
    }
    const hides = kind === 'directory' && before === 'whiteout'
    const written = hides ? { ...header, xattrs: new Map([...header.xattrs, ...opaque]) } : header
    this.#seen.set(header.name, kind)
    if (kind === 'directory') this.#directories.set(header.name, written)
    return written
  }

  /** Directories on the way that the archive does not name. */
  #parents(above: readonly string[], mtime: number): TarHeader[] {
    const made: TarHeader[] = []
    for (let depth = 1; depth <= above.length; depth += 1) {
      const name = above.slice(0, depth).join('/')
      const kind = this.#seen.get(name)
      if (kind === 'directory') continue
      if (kind === 'other') throw new TarError(`The archive goes through ${quoted(name)}, which is not a directory.`)
      made.push(this.#remember(plainDirectory(name, mtime)))
    }
    return made
  }

  #hardLink(name: string, link: string): string {
    const target = partsOf(link).join('/')
    const kind = this.#seen.get(target)
    if (kind !== 'other' || target === name) {
      throw new TarError(
        `The archive holds the hard link ${quoted(name)} to ${quoted(link)}, which is not a file of it.`,
      )
    }
    return target
  }

  #whiteout(above: readonly string[], base: string, entry: TarHeader): TarHeader[] {
    const hide = (name: string): TarHeader[] => {
      const directory = this.#directories.get(name)
      if (directory === undefined)
        throw new TarError('The archive takes the whole root of lower layers away, which is not supported.')
      const hiding = { ...directory, xattrs: new Map([...directory.xattrs, ...opaque]) }
      this.#directories.set(name, hiding)
      return [hiding]
    }
    if (base === '.wh..wh..opq') return hide(above.join('/'))
    // Bookkeeping of aufs, not a removal.
    if (base.startsWith('.wh..wh.')) return []
    const gone = base.slice('.wh.'.length)
    if (gone === '' || gone === '.' || gone === '..')
      throw new TarError(`The archive holds the name ${quoted(entry.name)}.`)
    const name = [...above, gone].join('/')
    // Put there again by the same layer: only what lower layers have is gone.
    const kind = this.#seen.get(name)
    if (kind === 'directory') return hide(name)
    if (kind !== undefined) return []
    this.#seen.set(name, 'whiteout')
    return [{ ...plainDirectory(name, entry.mtime), type: 'character', mode: 0, device: { major: 0, minor: 0 } }]
  }
}

/** The bytes of a safe archive made of the entries of a hostile one. Throws TarError. */
export async function* safeArchive(entries: AsyncIterable<TarEntry>, kind: ArchiveKind): AsyncGenerator<Buffer> {
  const safe = new SafeEntries(kind)
  for await (const entry of entries) {
    const headers = safe.headersFor(entry)
    const last = headers.at(-1)
    for (const header of headers)
      yield encodeHeader({ ...header, size: header === last && last.type === 'file' ? entry.size : 0 })
    if (last?.type !== 'file') continue
    for await (const chunk of entry.body) yield chunk
    if (entry.size % 512 !== 0) yield paddingOf(entry.size)
  }
  yield tarEnd
}
