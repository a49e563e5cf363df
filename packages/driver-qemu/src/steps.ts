/** The steps of each verb, in order. */
export const steps = {
  create: [
    'create.box-file',
    'create.disk',
    'create.run-dir',
    'create.machine',
    'create.identity',
    'create.made',
    'create.end',
  ],
  adapt: ['adapt.begin', 'adapt.box-file', 'adapt.end'],
  start: ['start.clear', 'start.run-dir', 'start.machine', 'start.identity', 'start.end'],
  pause: ['pause.save', 'pause.mark', 'pause.kill', 'pause.cgroup', 'pause.relay', 'pause.run-dir', 'pause.end'],
  resume: ['resume.clear', 'resume.run-dir', 'resume.machine', 'resume.mark', 'resume.identity', 'resume.end'],
  restore: ['restore.clear', 'restore.run-dir', 'restore.machine', 'restore.identity', 'restore.mark', 'restore.end'],
  snapshot: ['snapshot.save', 'snapshot.disk', 'snapshot.mark', 'snapshot.end'],
  removeSnapshot: ['remove-snapshot.mark', 'remove-snapshot.sweep'],
  stop: ['stop.shutdown', 'stop.kill', 'stop.cgroup', 'stop.relay', 'stop.run-dir', 'stop.end'],
  destroy: [
    'destroy.kill',
    'destroy.cgroup',
    'destroy.relay',
    'destroy.run-dir',
    'destroy.disk',
    'destroy.box-file',
    'destroy.end',
  ],
} as const

type Verb = keyof typeof steps
type StepName = (typeof steps)[Verb][number]

/** Called before each step; a test may throw or kill the process there. */
export type Step = (name: StepName) => void | Promise<void>
