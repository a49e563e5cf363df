/** The steps of each verb, in order; those between two calls that change something at the cloud. */
export const steps = {
  create: [
    'create.keys',
    'create.ssh-key',
    'create.firewall',
    'create.server',
    'create.addresses',
    'create.actions',
    'create.ready',
    'create.end',
  ],
  start: [
    'start.ssh-key',
    'start.firewall',
    'start.server',
    'start.addresses',
    'start.actions',
    'start.power',
    'start.ready',
    'start.image',
    'start.end',
  ],
  stop: ['stop.power', 'stop.image', 'stop.server', 'stop.end'],
  destroy: ['destroy.look', 'destroy.end'],
} as const

type Verb = keyof typeof steps
export type StepName = (typeof steps)[Verb][number]

/** Called before each step; a test may throw or kill the process there. */
export type Step = (name: StepName) => void | Promise<void>
