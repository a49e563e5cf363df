import type { RandomBytes } from '../ports/random.ts'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** Lower-case base32 (RFC 4648 section 6), one character for each random byte. */
export const base32 = (random: RandomBytes, length: number): string =>
  Array.from(random(length), (byte) => alphabet[byte % 32]).join('')

export const newBoxId = (random: RandomBytes): string => `bx${base32(random, 12)}`
export const newFleetId = (random: RandomBytes): string => `fl${base32(random, 12)}`
export const newSnapshotId = (random: RandomBytes): string => `sn${base32(random, 12)}`
export const newVolumeId = (random: RandomBytes): string => `vo${base32(random, 12)}`
export const newSessionId = (random: RandomBytes): string => `se${base32(random, 12)}`

export const isBoxId = (text: string): boolean => /^bx[a-z2-7]{12}$/.test(text)
export const isSnapshotId = (text: string): boolean => /^sn[a-z2-7]{12}$/.test(text)
export const isSessionId = (text: string): boolean => /^se[a-z2-7]{12}$/.test(text)
