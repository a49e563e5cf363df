/** Snapshots: saved states of boxes, which boxes are put back to or begin as. */
import * as z from 'zod'
import { Box, BoxName, CreateBox, CreateFleet, Fleet, Isolation, Provider, Shape, Size } from './box.ts'

/** What is saved of a box: its disk alone, or its processes too. */
export const SnapshotKind = z.enum(['disk', 'disk+memory'])
export type SnapshotKind = z.infer<typeof SnapshotKind>

export const SnapshotStatus = z.enum(['creating', 'ready', 'removing'])
export type SnapshotStatus = z.infer<typeof SnapshotStatus>

export const Snapshot = z.object({
  id: z.string(),
  name: BoxName,
  status: SnapshotStatus,
  kind: SnapshotKind,
  boxId: z.string().describe('the box that it was taken of, which may be gone'),
  boxName: BoxName,
  owner: Box.shape.owner,
  parent: z.string().nullable().describe('id of the snapshot that the state of the box last came from'),
  setup: z.boolean().describe('what a set-up script made, kept for the next box that has the same; goes by itself'),
  bytes: z.number().nullable().describe("room on the host's disk that it alone takes; null until it is made"),
  shape: Shape,
  provider: Provider,
  image: z.string(),
  size: Size,
  isolation: Isolation,
  createdAt: z.iso.datetime(),
})
export type Snapshot = z.infer<typeof Snapshot>

export const CreateSnapshot = z.strictObject({
  name: z.string().optional().describe('a DNS label; made up when absent'),
  kind: SnapshotKind.optional().describe('default: with memory where the shape can and the box runs or is paused'),
})
export type CreateSnapshot = z.infer<typeof CreateSnapshot>

export const RestoreBox = z.strictObject({
  snapshot: z.string().describe('name or id of a snapshot of a box that was made in the same way'),
})
export type RestoreBox = z.infer<typeof RestoreBox>

export const MountSnapshot = z.strictObject({
  snapshot: z.string().describe('name or id of a snapshot of a box of the same shape and image'),
  path: z.string().optional().describe('where in the box, absolute, made or empty; default /snapshots/<name>'),
})
export type MountSnapshot = z.infer<typeof MountSnapshot>

export const Mount = z.object({
  path: z.string().describe('where in the box; absolute'),
  snapshotId: z.string(),
  snapshot: z.string().nullable().describe('its name; null when it was removed meanwhile'),
})
export type Mount = z.infer<typeof Mount>

const fresh = CreateBox.shape

export const ForkBoxes = z.strictObject({
  from: z.string().describe('name or id of a box or a snapshot; where both have the name, the box'),
  name: z
    .string()
    .optional()
    .describe('a DNS label, made up when absent; with `count`, boxes are called <name>-1 … <name>-N'),
  count: CreateFleet.shape.count.optional().describe('boxes to make; one when absent'),
  ttl: fresh.ttl,
  idle: fresh.idle,
  onExpire: fresh.onExpire,
  onIdle: fresh.onIdle,
  env: fresh.env.describe('instead of that of the source, when given'),
  labels: fresh.labels.describe('instead of those of the source, when given'),
  egress: fresh.egress.describe('instead of that of the source, when given'),
  volumes: fresh.volumes.describe('instead of those of the source, when given'),
  wait: fresh.wait,
})
export type ForkBoxes = z.infer<typeof ForkBoxes>

export const Fork = z.object({
  fleet: z.string().nullable().describe('the id that the boxes have in common, when `count` was given'),
  boxes: z.array(Box),
  failures: Fleet.shape.failures,
})
export type Fork = z.infer<typeof Fork>
