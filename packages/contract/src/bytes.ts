import { GibilError } from './errors.ts'

const factors: Readonly<Record<string, number>> = { m: 1, g: 1024, t: 1024 * 1024 }

/**
 * Reads an amount of memory or disk in binary units: `512M`, `4G`, `4GiB`, `1.5g`; a bare number is GiB.
 * Returns whole MiB, at least 1. Throws `invalid_size`.
 */
export function parseMib(text: string | number): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([mgt])i?b?)?$/i.exec(String(text).trim())
  const mib = match ? Math.round(Number(match[1]) * (factors[(match[2] ?? 'g').toLowerCase()] ?? 0)) : 0
  if (mib < 1 || !Number.isSafeInteger(mib)) {
    throw new GibilError('invalid_size', `"${String(text).slice(0, 80)}" is not an amount of memory or disk.`)
  }
  return mib
}

/** Writes bytes with a binary unit: `512 MiB`, `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let index = 0
  while (value >= 1024 && index < names.length - 1) {
    value /= 1024
    index += 1
  }
  return `${index === 0 || value >= 100 ? Math.round(value) : Number(value.toFixed(1))} ${names[index]}`
}
