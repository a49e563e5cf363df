/** A box as one file, to be carried to another machine. */
import * as z from 'zod'
import { BoxName, Isolation, NetworkPolicy, OnExpire, OnFailure, Provider, Shape, Size, SizePreset } from './box.ts'
import { Arch } from './cloud.ts'
import { Egress } from './egress.ts'
import { TreeReport } from './move.ts'
import { PublishedPort } from './published-port.ts'

/** Grows when a file can no longer be read as it was. */
export const boxFileVersion = 1

const EnvName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
const Text = z.string().max(4096)

/** What the first entry of such a file says; whoever made the file may have written anything here. */
export const BoxManifest = z.object({
  format: z.literal('gibil-box'),
  version: z.literal(boxFileVersion),
  gibil: Text.describe('the version that made the file'),
  exportedAt: z.iso.datetime(),
  arch: Arch.describe('of its programs'),
  name: BoxName,
  shape: Shape,
  provider: Provider,
  image: Text.describe('what it was made of; all of it is in the file'),
  imageDefaults: z
    .object({ env: z.record(z.string(), z.string()), workdir: Text.nullable(), user: Text.nullable() })
    .describe('what commands get from that image'),
  size: Size,
  isolation: Isolation,
  user: z.string().min(1).max(255),
  envNames: z.array(EnvName).max(10_000),
  env: z.record(EnvName, z.string()).nullable().describe('values, which may be secrets; null: left out'),
  labels: z.record(z.string(), z.string()),
  network: NetworkPolicy,
  egress: Egress,
  published: z.array(PublishedPort).max(64),
  repo: z
    .object({
      source: Text,
      branch: Text.optional(),
      commit: Text.optional(),
    })
    .nullable(),
  config: z
    .string()
    .max(256 * 1024)
    .nullable()
    .describe('the text of its .gibil.yml'),
  hooked: z.boolean().describe('it has session-start hooks'),
  lease: z.object({
    ttlSeconds: z.number().positive().nullable(),
    idleSeconds: z.number().positive().nullable(),
    onExpire: OnExpire,
    onIdle: OnExpire.nullable(),
    onFailure: OnFailure,
  }),
  tree: z.object({
    entries: z.int().min(0),
    bytes: z.int().min(0).describe('on the disk of the box'),
    maxId: z.int().min(0).describe('the largest id of an owner'),
    maxIdPath: z.string().max(32_768),
  }),
})
export type BoxManifest = z.infer<typeof BoxManifest>

/** How a box of a file is to differ from the one that was exported. */
export const ImportBox = z.strictObject({
  name: z.string().optional(),
  shape: Shape.optional(),
  size: SizePreset.optional(),
  cpu: z.number().positive().optional(),
  memoryMib: z.int().positive().optional(),
  diskMib: z.int().positive().optional(),
  ttl: z.union([z.string(), z.number()]).optional(),
  idle: z.union([z.string(), z.number()]).optional(),
  onExpire: OnExpire.optional(),
  onIdle: OnExpire.optional(),
  env: z.record(EnvName, z.string()).optional().describe('beside what the file has, or in its place'),
})
export type ImportBox = z.infer<typeof ImportBox>

/** What is known when the file is whole. */
export const Exported = z.object({
  bytes: z.int().min(0).describe('of the file before it is compressed'),
  sha256: z.string(),
  changed: TreeReport.shape.changed.describe('files that changed each time they were read; a few of them'),
  changedCount: z.int().min(0),
  envNames: z.array(EnvName).describe('variables whose values were left out'),
})
export type Exported = z.infer<typeof Exported>
