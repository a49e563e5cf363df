import * as z from 'zod'
import { invalid, notUnique, overLimit } from '../errors.ts'
import type { Call } from '../http/route.ts'

export const name = z.string().min(1).max(128)

/** What names a thing of the catalogue or the project: its id, as a number or in digits, or its name. */
export const reference = z.union([z.int().positive(), z.string().min(1)])
type Reference = z.infer<typeof reference>

export const isCalled = (record: { id: number; name: string | null }, wanted: Reference): boolean =>
  record.id === wanted || String(record.id) === wanted || record.name === wanted

/** Throws 409 when another record has this name. */
export function checkName<T extends { id: number; name: string }>(
  records: ReadonlyMap<number, T>,
  wanted: string,
  what: string,
  self?: T,
): void {
  for (const record of records.values()) {
    if (record.name === wanted && record.id !== self?.id) throw notUnique('name', `${what} name is already used`)
  }
}

/** Throws 403 when the project has as many as it may have. `resource` in the singular. */
export function checkQuota({ world }: Call, resource: string, present: number): void {
  world.faults.checkQuota(resource, present, overLimit)
}

/** The record with this id, which the body names in `field`; throws 422. */
export function referred<T>(records: ReadonlyMap<number, T>, id: number, field: string): T {
  const record = records.get(id)
  if (record === undefined) throw invalid(field, `${field.replaceAll('_', ' ')} '${id}' not found`)
  return record
}

/** Takes over what a PUT may change. Fields that are left out stay. */
export function rewrite<T extends { name: string; labels: Record<string, string> }>(
  record: T,
  change: { name?: string | undefined; labels?: Record<string, string> | undefined },
): void {
  if (change.name !== undefined) record.name = change.name
  if (change.labels !== undefined) record.labels = change.labels
}
