import {
  type OnExpire,
  type OnFailure,
  parseDuration,
  parseMib,
  type ShapeOrPreset,
  type SizePreset,
} from '@gibil/contract'
import type * as z from 'zod'
import { databases } from './databases.ts'
import type { GibilYml, ReadyEntry, ServiceEntry, TaskEntry } from './schema.ts'

export interface Task {
  readonly name: string
  readonly run: string
  readonly cwd: string | null
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMs: number | null
}

export type ReadyCheck = (
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'http'; readonly port: number; readonly path: string }
  | { readonly kind: 'log'; readonly text: string }
) & { readonly timeoutMs: number }

export interface Service {
  readonly name: string
  /** Null when the service is a container image, or a unit. */
  readonly command: string | null
  readonly image: string | null
  /** Absent in what an older version kept. */
  readonly unit?: string | null
  readonly cwd: string | null
  readonly env: Readonly<Record<string, string>>
  readonly ready: ReadyCheck | null
}

/** Prepares a box before its repository comes; a line or more for bash, run as root. */
export interface SetupScript {
  readonly run: string
  readonly timeoutMs: number | null
}

/** A `.gibil.yml` with its short forms written out: plain data, kept with the box. */
export interface GibilConfig {
  readonly image: string | null
  readonly shape: z.infer<typeof ShapeOrPreset> | null
  readonly size: z.infer<typeof SizePreset> | null
  readonly cpu: number | null
  readonly memoryMib: number | null
  readonly diskMib: number | null
  readonly ttl: string | number | null
  readonly idle: string | number | null
  readonly onExpire: OnExpire | null
  /** Like the next, absent in what an older version kept. */
  readonly onIdle?: OnExpire | null
  readonly onFailure?: OnFailure | null
  readonly env: Readonly<Record<string, string>>
  /** Absent in what an older version kept. */
  readonly setup?: SetupScript | null
  /** Tool to version, or the beginning of one: `24`, `3.12`. */
  readonly runtime: Readonly<Record<string, string>>
  readonly services: readonly Service[]
  readonly tasks: readonly Task[]
  readonly ports: readonly number[]
  readonly onCreate: readonly Task[]
  readonly onStart: readonly Task[]
  readonly beforeExpire: Task | null
  /** Whether session-start hooks of the repository run; absent in what an older version kept. */
  readonly sessionStart?: boolean
}

/** For what names no timeout of its own, in milliseconds. */
export const defaultReadyMs = 60_000

const texts = (record: Readonly<Record<string, unknown>> | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(record ?? {}).map(([name, value]) => [name, String(value)]))

const duration = (value: string | number | undefined): number | null =>
  value === undefined ? null : parseDuration(value)

const shorten = (line: string): string => {
  const first = line.trim().split('\n')[0] ?? ''
  return first.length > 60 ? `${first.slice(0, 59)}…` : first
}

function toTask(entry: z.infer<typeof TaskEntry>): Task {
  if (typeof entry === 'string') return { name: shorten(entry), run: entry, cwd: null, env: {}, timeoutMs: null }
  return {
    name: entry.name ?? shorten(entry.run),
    run: entry.run,
    cwd: entry.cwd ?? null,
    env: texts(entry.env),
    timeoutMs: duration(entry.timeout),
  }
}

const toTasks = (steps: string | readonly z.infer<typeof TaskEntry>[] | undefined): Task[] =>
  (typeof steps === 'string' ? [steps] : (steps ?? [])).map(toTask)

function toReady(entry: z.infer<typeof ReadyEntry>): ReadyCheck | null {
  const timeoutMs = duration(entry.timeout) ?? defaultReadyMs
  if (entry.command !== undefined) return { kind: 'command', command: entry.command, timeoutMs }
  if (entry.port !== undefined) return { kind: 'port', port: entry.port, timeoutMs }
  if (entry.log !== undefined) return { kind: 'log', text: entry.log, timeoutMs }
  if (entry.http === undefined) return null
  const url = new URL(entry.http)
  return { kind: 'http', port: Number(url.port || 80), path: url.pathname + url.search, timeoutMs }
}

function toService([name, entry]: [string, z.infer<typeof ServiceEntry>]): Service {
  if (typeof entry === 'string') return toService([name, { command: entry }])
  return {
    name,
    command: entry.command ?? null,
    image: entry.image ?? null,
    unit: entry.unit ?? null,
    cwd: entry.cwd ?? null,
    env: texts(entry.env),
    ready: entry.ready === undefined ? null : toReady(entry.ready),
  }
}

const toSetup = (setup: NonNullable<GibilYml['setup']>): SetupScript =>
  typeof setup === 'string' ? { run: setup, timeoutMs: null } : { run: setup.run, timeoutMs: duration(setup.timeout) }

const toServices = (services: NonNullable<GibilYml['services']>): Service[] =>
  Array.isArray(services)
    ? [...new Set(services)].map((name) => toService([name, databases[name]]))
    : Object.entries(services).map(toService)

/** Writes out the short forms of a file that fits the schema. */
export function toConfig(file: GibilYml): GibilConfig {
  return {
    image: file.image ?? null,
    shape: file.shape ?? null,
    size: file.size ?? null,
    cpu: file.cpu ?? null,
    memoryMib: file.memory === undefined ? null : parseMib(file.memory),
    diskMib: file.disk === undefined ? null : parseMib(file.disk),
    ttl: file.ttl ?? null,
    idle: file.idle ?? null,
    onExpire: file.onExpire ?? null,
    onIdle: file.onIdle ?? null,
    onFailure: file.onFailure ?? null,
    env: texts(file.env),
    setup: file.setup === undefined ? null : toSetup(file.setup),
    runtime: texts(file.runtime),
    services: toServices(file.services ?? {}),
    tasks: toTasks(file.tasks),
    ports: file.ports ?? [],
    onCreate: toTasks(file.hooks?.onCreate),
    onStart: toTasks(file.hooks?.onStart),
    sessionStart: file.hooks?.sessionStart ?? true,
    beforeExpire: file.hooks?.beforeExpire === undefined ? null : toTask(file.hooks.beforeExpire),
  }
}
