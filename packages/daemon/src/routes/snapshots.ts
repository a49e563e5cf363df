import { Box, CreateSnapshot, Fork, ForkBoxes, Mount, MountSnapshot, RestoreBox, Snapshot } from '@gibil/contract'
import * as z from 'zod'
import { json, type Route, route } from '../http/route.ts'

const tag = 'snapshots'

export const snapshotRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/boxes/{box}/snapshots',
    id: 'createSnapshot',
    tag,
    summary: 'Save what a box is now',
    description: 'The box goes on as it was. The snapshot outlives it.',
    body: CreateSnapshot,
    progress: true,
    answer: json(Snapshot, 201),
    errors: ['box_not_found', 'wrong_state', 'unsupported_by_shape', 'invalid_name', 'name_in_use', 'disk_full'],
    handle: async ({ param, body }, { plane }) => plane.snapshot(param('box'), body),
  }),
  route({
    method: 'get',
    path: '/snapshots',
    id: 'listSnapshots',
    tag,
    summary: 'List snapshots, oldest first',
    query: z.strictObject({
      box: z.string().optional().describe('name or id of the box that they were taken of, which may be gone'),
    }),
    answer: json(z.array(Snapshot)),
    handle: async ({ query }, { plane }) => plane.snapshots(query.box === undefined ? {} : { box: query.box }),
  }),
  route({
    method: 'get',
    path: '/snapshots/{snapshot}',
    id: 'getSnapshot',
    tag,
    summary: 'Show a snapshot',
    answer: json(Snapshot),
    errors: ['snapshot_not_found'],
    handle: async ({ param }, { plane }) => plane.getSnapshot(param('snapshot')),
  }),
  route({
    method: 'delete',
    path: '/snapshots/{snapshot}',
    id: 'removeSnapshot',
    tag,
    summary: 'Remove a snapshot',
    description: 'Boxes that began as it live on.',
    progress: true,
    answer: json(Snapshot),
    errors: ['snapshot_not_found', 'wrong_state'],
    handle: async ({ param }, { plane }) => plane.removeSnapshot(param('snapshot')),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/restore',
    id: 'restoreBox',
    tag,
    summary: 'Put a box back to a snapshot',
    description:
      'It keeps its name, id and lease, and runs afterwards. What it was before is lost; when the restore fails, it is what it was.',
    body: RestoreBox,
    progress: true,
    answer: json(Box),
    errors: ['box_not_found', 'snapshot_not_found', 'wrong_state', 'unsupported_by_shape', 'disk_full'],
    handle: async ({ param, body }, { plane }) => plane.restore(param('box'), body.snapshot),
  }),
  route({
    method: 'post',
    path: '/boxes/{box}/mounts',
    id: 'mountSnapshot',
    tag,
    summary: 'Let a box read a snapshot',
    description:
      'The box must run. The snapshot is there, to be read, until it is unmounted or the box stops (or a box of the shape microvm pauses).',
    body: MountSnapshot,
    answer: json(Mount, 201),
    errors: [
      'box_not_found',
      'snapshot_not_found',
      'wrong_state',
      'invalid_path',
      'file_conflict',
      'limit_reached',
      'unsupported_by_shape',
    ],
    handle: async ({ param, body }, { plane }) => plane.mount(param('box'), body),
  }),
  route({
    method: 'get',
    path: '/boxes/{box}/mounts',
    id: 'listMounts',
    tag,
    summary: 'List the snapshots that a box can read',
    answer: json(z.array(Mount)),
    errors: ['box_not_found', 'unsupported_by_shape'],
    handle: async ({ param }, { plane }) => plane.mounts(param('box')),
  }),
  route({
    method: 'delete',
    path: '/boxes/{box}/mounts',
    id: 'unmountSnapshot',
    tag,
    summary: 'Unmount a snapshot',
    description: 'Refused while a process of the box uses it.',
    query: z.strictObject({ at: z.string().describe('the path, or the name or id of the snapshot') }),
    answer: json(Mount),
    errors: ['box_not_found', 'file_not_found', 'file_conflict', 'wrong_state', 'unsupported_by_shape'],
    handle: async ({ param, query }, { plane }) => plane.unmount(param('box'), query.at),
  }),
  route({
    method: 'post',
    path: '/fork',
    id: 'forkBoxes',
    tag,
    summary: 'Make boxes that begin as a box is now, or as a snapshot is',
    description:
      'Their set-up is not run again. With `count`, boxes that could not be made are in `failures`, and the others are kept.',
    body: ForkBoxes,
    progress: true,
    answer: json(Fork, 201),
    errors: [
      'snapshot_not_found',
      'wrong_state',
      'unsupported_by_shape',
      'invalid_name',
      'invalid_duration',
      'name_in_use',
      'limit_reached',
      'disk_full',
    ],
    handle: async ({ body, onProgress, signal }, { plane, metrics }) => {
      const forked = await plane.fork(body, { onProgress, signal })
      for (const box of forked.boxes) metrics.created(box)
      return forked
    },
  }),
]
