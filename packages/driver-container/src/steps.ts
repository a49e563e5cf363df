/** The steps of each verb, in order; those of a create's parallel parts (disk, network, bundle) may interleave. */
export const steps = {
  create: [
    'create.box-file',
    'create.run-dir',
    'create.disk',
    'create.disk-mount',
    'create.net',
    'create.bundle',
    'create.overlay',
    'create.etc',
    'create.run',
    'create.made',
    'create.end',
  ],
  adapt: ['adapt.begin', 'adapt.box-file', 'adapt.end'],
  start: [
    'start.clear',
    'start.run-dir',
    'start.disk-mount',
    'start.net',
    'start.bundle',
    'start.overlay',
    'start.etc',
    'start.run',
    'start.made',
    'start.end',
  ],
  restore: [
    'restore.copy',
    'restore.clear',
    'restore.swap',
    'restore.run-dir',
    'restore.disk-mount',
    'restore.net',
    'restore.bundle',
    'restore.overlay',
    'restore.etc',
    'restore.run',
    'restore.made',
    'restore.end',
  ],
  snapshot: ['snapshot.dir', 'snapshot.save', 'snapshot.note', 'snapshot.end'],
  remove: ['remove.note', 'remove.disk', 'remove.end'],
  stop: ['stop.term', 'stop.kill', 'stop.cgroup', 'stop.unmount', 'stop.net', 'stop.run-dir', 'stop.end'],
  destroy: [
    'destroy.kill',
    'destroy.cgroup',
    'destroy.unmount',
    'destroy.net',
    'destroy.run-dir',
    'destroy.disk',
    'destroy.box-file',
    'destroy.end',
  ],
} as const

type Verb = keyof typeof steps
export type StepName = (typeof steps)[Verb][number]

/** Called before each step; a test may throw or kill the process there. */
export type Step = (name: StepName) => void | Promise<void>
