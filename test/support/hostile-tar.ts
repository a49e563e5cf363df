import fc from 'fast-check'

const blockSize = 512

/** Names as only somebody with bad intentions writes them, beside plain ones. */
const name = fc.oneof(
  fc.constantFrom('a', 'a/b', 'd/', './a', '../outside', 'a/../../outside', '/etc/gibil-fuzz', '.', '', 'd/../a', '\0'),
  fc.stringMatching(/^[a-d/.]{0,12}$/),
  fc.string({ unit: 'binary', maxLength: 120 }),
  fc.constantFrom('x'.repeat(300), `${'deep/'.repeat(900)}x`, '.wh.a', '.wh..wh..opq', 'd/.wh.'),
)
const flag = fc.constantFrom(
  '0',
  '0',
  '0',
  '5',
  '2',
  '2',
  '1',
  '3',
  '4',
  '6',
  '7',
  'x',
  'g',
  'L',
  'K',
  'S',
  'D',
  '\0',
  '9',
)
/** Twelve bytes of a number: octal, base 256 (also negative), or anything. */
const numeric = fc.oneof(
  fc.integer({ min: 0, max: 3000 }).map((value) => Buffer.from(value.toString(8).padStart(11, '0'))),
  fc.constantFrom('77777777777', '', '-1', '99', ' 12 ').map((text) => Buffer.from(text)),
  fc.uint8Array({ minLength: 11, maxLength: 12 }).map((bytes) => Buffer.from([0x80, ...bytes.slice(1)])),
  fc.constant(Buffer.alloc(12, 0xff)),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
)
const paxRecord = fc
  .tuple(
    fc.constantFrom(
      'path',
      'linkpath',
      'size',
      'mtime',
      'uid',
      'gid',
      'SCHILY.xattr.user.x',
      'GNU.sparse.major',
      'other',
    ),
    fc.oneof(name, fc.constantFrom('0', '-1', '1e9', '9'.repeat(400), '12.5', '99999999999999999999', 'NaN')),
    fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -9, max: 9 }) }),
  )
  .map(([key, value, lie]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`)
    const length = rest + String(rest + String(rest).length).length
    return `${length + lie} ${key}=${value}\n`
  })

interface Parts {
  readonly name: string
  readonly link: string
  readonly flag: string
  readonly size: Buffer | null
  readonly mtime: Buffer
  readonly mode: Buffer
  readonly content: Buffer
  readonly posix: boolean
}

const header = fc.record({
  name,
  link: name,
  flag,
  size: fc.option(numeric, { freq: 4 }),
  mtime: numeric,
  mode: numeric,
  content: fc.oneof(
    fc.uint8Array({ maxLength: 1200 }).map((bytes) => Buffer.from(bytes)),
    fc.array(paxRecord, { maxLength: 3 }).map((records) => Buffer.from(records.join(''))),
    name.map((text) => Buffer.from(text)),
  ),
  posix: fc.boolean(),
})

/** The sum of all bytes of a header, its own field counted as blanks: without it a reader looks no further. */
function withCheckSum(block: Buffer): Buffer {
  block.fill(0x20, 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

function entryBytes(parts: Parts): Buffer {
  const block = Buffer.alloc(blockSize)
  block.write(parts.name, 0, 100, 'utf8')
  parts.mode.copy(block, 100, 0, 8)
  const size = parts.size ?? Buffer.from(parts.content.length.toString(8).padStart(11, '0'))
  size.copy(block, 124, 0, 12)
  parts.mtime.copy(block, 136, 0, 12)
  block.write(parts.flag, 156, 1, 'latin1')
  block.write(parts.link, 157, 100, 'utf8')
  if (parts.posix) block.write('ustar\u000000', 257, 'latin1')
  const padding = Buffer.alloc((blockSize - (parts.content.length % blockSize)) % blockSize)
  return Buffer.concat([withCheckSum(block), parts.content, padding])
}

/** Archives that a hostile box or registry could send: right check sums over anything, cut off, with bytes turned. */
export const hostileTar: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.array(header.map(entryBytes), { maxLength: 6 }),
    fc.boolean(),
    fc.option(fc.nat(4000), { freq: 4 }),
    fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { maxLength: 2 }),
    fc.boolean(),
  )
  .map(([entries, ends, cut, turned, sums]) => {
    const whole = Buffer.concat([...entries, ...(ends ? [Buffer.alloc(2 * blockSize)] : [])])
    const bytes = cut === null ? whole : whole.subarray(0, cut)
    for (const [at, value] of turned) if (at < bytes.length) bytes[at] = value
    if (sums && turned.length > 0 && bytes.length >= blockSize) withCheckSum(bytes.subarray(0, blockSize))
    return bytes
  })

/** The same bytes in pieces of any size. */
export async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
