import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import ssh2, { type ParsedKey } from 'ssh2'

export interface KeyPlaces {
  /** Files in the format of authorized_keys; those that are not there admit nobody. */
  readonly files: readonly string[]
  /** Where the user's own keys are: `id_*.pub` with its private half beside it. */
  readonly userDirectory: string
}

/** Longer files are no lists of keys. */
const maxFileBytes = 1024 * 1024

/** The public keys that may enter, read anew at each login, so that a change holds at once. */
export async function admittedKeys({ files, userDirectory }: KeyPlaces): Promise<readonly ParsedKey[]> {
  const texts = await Promise.all([...files, ...(await ownKeys(userDirectory))].map(readIfThere))
  return texts.flatMap((text) => text.split('\n').flatMap(keyOfLine))
}

/** A public key alone may be that of somebody else, kept for another purpose: whoever has the private half here is the user. */
async function ownKeys(directory: string): Promise<string[]> {
  const names = new Set(await readdir(directory).catch(() => []))
  return [...names]
    .filter((name) => /^id_.*\.pub$/.test(name) && names.has(name.slice(0, -4)))
    .map((name) => join(directory, name))
}

async function readIfThere(path: string): Promise<string> {
  const { size } = await stat(path).catch(() => ({ size: 0 }))
  return size > 0 && size <= maxFileBytes ? readFile(path, 'utf8').catch(() => '') : ''
}

const keyLine = /^(?:ssh-|ecdsa-|sk-)[\w@.-]+ [A-Za-z0-9+/]+=*(?: |$)/

/** One without options: a line that restricts a key (`from=`, `command=`) cannot be honoured, so it admits nobody. */
function keyOfLine(line: string): ParsedKey[] {
  const text = line.trim()
  if (!keyLine.test(text)) return []
  const key = ssh2.utils.parseKey(text)
  return key instanceof Error || Array.isArray(key) ? [] : [key]
}
