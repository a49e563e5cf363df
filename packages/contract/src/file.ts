/** Files in a box. */
import * as z from 'zod'

export const FileKind = z.enum(['file', 'directory', 'symlink', 'other'])

export const FileInfo = z.object({
  path: z.string(),
  name: z.string(),
  kind: FileKind,
  size: z.int(),
  mode: z.int().describe('permission bits, such as 0o644 = 420'),
  user: z.string(),
  group: z.string(),
  modifiedAt: z.iso.datetime(),
  target: z.string().optional().describe('of a symlink'),
})
export type FileInfo = z.infer<typeof FileInfo>

export const FileEvent = z.object({
  type: z.enum(['create', 'write', 'remove', 'rename', 'chmod', 'overflow']),
  path: z.string(),
})
export type FileEvent = z.infer<typeof FileEvent>

export const OpenPort = z.object({
  port: z.int(),
  address: z.string(),
  pid: z.int().nullable(),
  process: z.string().nullable(),
})
export type OpenPort = z.infer<typeof OpenPort>

export const Metrics = z.object({
  cpuPercent: z.number().describe('of one core, since the last reading'),
  cpuUsageMs: z.number().describe('since start'),
  memoryBytes: z.int(),
  memoryLimitBytes: z.int().nullable(),
  diskBytes: z.int(),
  diskLimitBytes: z.int(),
  processes: z.int(),
  uptimeMs: z.number(),
})
export type Metrics = z.infer<typeof Metrics>

export const MovePath = z.strictObject({ from: z.string(), to: z.string(), overwrite: z.boolean().optional() })
export const MakeDirectory = z.strictObject({ path: z.string(), mode: z.int().optional(), user: z.string().optional() })
export const ChangeMode = z.strictObject({
  path: z.string(),
  mode: z.int().min(0).max(0o7777),
  recursive: z.boolean().optional(),
})
