import { blockSize, type TarHeader, type TarType, xattrKey } from './tar-format.ts'

const flags: Readonly<Record<TarType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}

const maxOctal7 = 0o7777777
const maxOctal11 = 0o77777777777

/** Zero bytes up to the next block. */
export const paddingOf = (size: number): Buffer => Buffer.alloc((blockSize - (size % blockSize)) % blockSize)

/** The two zero blocks at the end of an archive. */
export const tarEnd = Buffer.alloc(2 * blockSize)

const paxRecord = (key: string, value: Buffer): Buffer => {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')])
  // The length counts its own digits.
  let length = rest.length + 1
  while (rest.length + String(length).length !== length) length = rest.length + String(length).length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

interface RawHeader {
  readonly name: string
  readonly flag: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  readonly link: string
  readonly device?: TarHeader['device']
}

const block = (raw: RawHeader): Buffer => {
  const buffer = Buffer.alloc(blockSize)
  const octal = (value: number, at: number, digits: number) =>
    buffer.write(value.toString(8).padStart(digits, '0'), at, 'latin1')
  buffer.write(raw.name.slice(0, 100), 0, 'latin1')
  octal(raw.mode, 100, 7)
  octal(raw.uid, 108, 7)
  octal(raw.gid, 116, 7)
  octal(raw.size, 124, 11)
  octal(raw.mtime, 136, 11)
  buffer.write('        ', 148, 'latin1')
  buffer.write(raw.flag, 156, 'latin1')
  buffer.write(raw.link.slice(0, 100), 157, 'latin1')
  buffer.write('ustar\x0000', 257, 'latin1')
  octal(raw.device?.major ?? 0, 329, 7)
  octal(raw.device?.minor ?? 0, 337, 7)
  const sum = buffer.reduce((total, byte) => total + byte, 0)
  buffer.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return buffer
}

const sparseRecords = (name: string, realSize: number): Buffer[] =>
  [
    ['major', '1'],
    ['minor', '0'],
    ['name', name],
    ['realsize', String(realSize)],
  ].map(([key, value = '']) => paxRecord(`GNU.sparse.${key}`, Buffer.from(value, 'latin1')))

/** The bytes of an entry before its content: a PAX header for what the plain one cannot say, then the plain one. */
export const encodeHeader = (entry: TarHeader): Buffer => {
  const latin1 = (value: string | number): Buffer => Buffer.from(String(value), 'latin1')
  const plainTime = Number.isInteger(entry.mtime) && entry.mtime >= 0 && entry.mtime <= maxOctal11
  const records = [
    ...(entry.realSize === undefined
      ? entry.name.length > 100
        ? [paxRecord('path', latin1(entry.name))]
        : []
      : sparseRecords(entry.name, entry.realSize)),
    ...(entry.link.length > 100 ? [paxRecord('linkpath', latin1(entry.link))] : []),
    ...(entry.uid > maxOctal7 ? [paxRecord('uid', latin1(entry.uid))] : []),
    ...(entry.gid > maxOctal7 ? [paxRecord('gid', latin1(entry.gid))] : []),
    ...(entry.size > maxOctal11 ? [paxRecord('size', latin1(entry.size))] : []),
    ...(plainTime && entry.mtimeText === undefined ? [] : [paxRecord('mtime', latin1(entry.mtimeText ?? entry.mtime))]),
    ...[...entry.xattrs].map(([name, value]) => paxRecord(`${xattrKey}${name}`, value)),
  ]
  const plain = block({
    ...entry,
    name: entry.realSize === undefined ? entry.name : 'GNUSparseFile.0/sparse',
    flag: flags[entry.type],
    uid: Math.min(entry.uid, maxOctal7),
    gid: Math.min(entry.gid, maxOctal7),
    size: Math.min(entry.size, maxOctal11),
    mtime: Math.min(Math.max(0, Math.floor(entry.mtime)), maxOctal11),
  })
  if (records.length === 0) return plain
  const pax = Buffer.concat(records)
  const before = block({ name: 'pax', flag: 'x', mode: 0o644, uid: 0, gid: 0, size: pax.length, mtime: 0, link: '' })
  return Buffer.concat([before, pax, paddingOf(pax.length), plain])
}
