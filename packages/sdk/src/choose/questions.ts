import type { Needs } from '@gibil/contract'

export const agents = ['claude', 'codex', 'gemini', 'opencode', 'any'] as const

/** What a person is asked to find out which box is meant, in this order; a terminal and an editor ask in the same words. */
export const questions = {
  isolation: {
    message: 'Whose code runs in it?',
    options: [
      { value: 'shared-kernel', label: 'mine, or of an agent that I trust', hint: '' },
      { value: 'own-kernel', label: 'anybody’s', hint: 'a kernel of its own' },
      { value: 'other-machine', label: 'none that may run on this machine', hint: '' },
    ],
  },
  where: {
    message: 'Where may it be?',
    options: [
      { value: 'anywhere', label: 'anywhere', hint: '' },
      { value: 'here', label: 'on this machine alone', hint: '' },
      { value: 'own-cloud', label: 'in a cloud account of my own', hint: 'Hetzner Cloud' },
    ],
  },
  ttl: { message: 'How long does it live? (90m, 7d, none)', usual: '60m' },
  size: {
    message: 'How large?',
    options: [
      { value: 'usual', label: 'as usual', hint: '2 cpu, 4 GiB' },
      { value: 'medium', label: 'medium', hint: '4 cpu, 8 GiB' },
      { value: 'large', label: 'large', hint: '8 cpu, 16 GiB' },
    ],
  },
  /** Those that are yes or no, in one list. */
  marks: {
    message: 'What does it need?',
    options: [
      { value: 'docker', label: 'Docker', hint: '' },
      { value: 'images', label: 'services that are container images', hint: 'databases and queues of .gibil.yml' },
      { value: 'units', label: 'services that are units of systemd', hint: 'PostgreSQL and Redis of the image vm' },
      { value: 'publicAddress', label: 'an address on the internet', hint: '' },
      { value: 'workstation', label: 'a machine that is ready for any work', hint: '' },
      { value: 'embed', label: 'short runs of code of others, inside a product', hint: '' },
    ],
  },
  agent: {
    message: 'Which agent works in it?',
    options: ['none' as const, ...agents].map((value) => ({ value, label: value, hint: '' })),
  },
  maxHourly: { message: 'What may an hour cost? (0.05; 0: nothing; empty: whatever it does)' },
} as const

type ValueOf<Question extends { readonly options: readonly { readonly value: string }[] }> =
  Question['options'][number]['value']

export interface Answers {
  readonly isolation: ValueOf<typeof questions.isolation>
  readonly where: ValueOf<typeof questions.where>
  readonly ttl: string
  readonly size: ValueOf<typeof questions.size>
  readonly marks: readonly ValueOf<typeof questions.marks>[]
  readonly agent: ValueOf<typeof questions.agent>
  readonly maxHourly: string | undefined
}

/** Answers as flags of `gibil choose` would have said them. */
export function needsOfAnswers({ isolation, where, ttl, size, marks, agent, maxHourly }: Answers): Needs {
  const has = (mark: Answers['marks'][number]): boolean => marks.includes(mark)
  return {
    isolation,
    ttl,
    ...(where === 'anywhere' ? {} : { where }),
    ...(size === 'usual' ? {} : { size }),
    ...(has('docker') || has('images') ? { docker: true } : {}),
    ...(has('units') ? { services: 'unit' } : has('images') ? { services: 'image' } : {}),
    ...(has('publicAddress') ? { publicAddress: true } : {}),
    ...(has('workstation') ? { workstation: true } : {}),
    ...(has('embed') ? { embed: true } : {}),
    ...(agent === 'none' ? {} : { agent }),
    ...(maxHourly ? { maxHourly } : {}),
  }
}
