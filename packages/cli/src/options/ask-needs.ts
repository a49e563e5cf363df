import { GibilError, type Needs } from '@gibil/sdk'
import type { Session } from '../session.ts'
import { amountOfMoney } from './cloud.ts'
import { agents } from './needs.ts'
import { duration } from './parse.ts'

/** What is asked of a person: the fields that are yes or no, in one list. */
const marks = [
  { value: 'docker', label: 'Docker' },
  { value: 'images', label: 'services that are container images', hint: 'databases and queues of .gibil.yml' },
  { value: 'units', label: 'services that are units of systemd', hint: 'PostgreSQL and Redis of the image vm' },
  { value: 'publicAddress', label: 'an address on the internet' },
  { value: 'workstation', label: 'a machine that is ready for any work' },
  { value: 'embed', label: 'short runs of code of others, inside a product' },
] as const

/** Asks on a terminal what matters. Throws `cancelled`. */
export async function askNeeds(session: Session): Promise<Needs> {
  const { group, intro, multiselect, outro, select, text } = await import('@clack/prompts')
  const output = session.stderr
  intro('What is the box for?', { output })
  const answers = await group(
    {
      isolation: () =>
        select({
          message: 'Whose code runs in it?',
          output,
          options: [
            { value: 'shared-kernel' as const, label: 'mine, or of an agent that I trust' },
            { value: 'own-kernel' as const, label: 'anybody’s', hint: 'a kernel of its own' },
            { value: 'other-machine' as const, label: 'none that may run on this machine' },
          ],
        }),
      where: () =>
        select({
          message: 'Where may it be?',
          output,
          options: [
            { value: 'anywhere' as const, label: 'anywhere' },
            { value: 'here' as const, label: 'on this machine alone' },
            { value: 'own-cloud' as const, label: 'in a cloud account of my own', hint: 'Hetzner Cloud' },
          ],
        }),
      ttl: () =>
        text({
          message: 'How long does it live? (90m, 7d, none)',
          initialValue: '60m',
          output,
          validate: (value) => complaint(() => duration(value ?? '', { none: true })),
        }),
      size: () =>
        select({
          message: 'How large?',
          output,
          options: [
            { value: 'usual' as const, label: 'as usual', hint: '2 cpu, 4 GiB' },
            { value: 'medium' as const, label: 'medium', hint: '4 cpu, 8 GiB' },
            { value: 'large' as const, label: 'large', hint: '8 cpu, 16 GiB' },
          ],
        }),
      marks: () => multiselect({ message: 'What does it need?', required: false, output, options: [...marks] }),
      agent: () =>
        select({
          message: 'Which agent works in it?',
          output,
          options: [{ value: 'none' as const }, ...agents.map((value) => ({ value }))],
        }),
      maxHourly: () =>
        text({
          message: 'What may an hour cost? (0.05; 0: nothing; empty: whatever it does)',
          output,
          validate: (value) => complaint(() => value && amountOfMoney(value)),
        }),
    },
    {
      onCancel: () => {
        throw new GibilError('cancelled', 'Nothing was chosen.', { hint: 'Run `gibil choose` again, or give flags.' })
      },
    },
  )
  outro('Flags say the same: gibil choose --help', { output })
  return needsOfAnswers(answers)
}

interface Answers {
  readonly isolation: NonNullable<Needs['isolation']>
  readonly where: 'anywhere' | NonNullable<Needs['where']>
  readonly ttl: string
  readonly size: 'usual' | 'medium' | 'large'
  readonly marks: readonly (typeof marks)[number]['value'][]
  readonly agent: 'none' | (typeof agents)[number]
  readonly maxHourly: string | undefined
}

/** Answers as flags would have said them. */
export function needsOfAnswers({ isolation, where, ttl, size, marks: marked, agent, maxHourly }: Answers): Needs {
  const has = (mark: (typeof marks)[number]['value']): boolean => marked.includes(mark)
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

function complaint(parse: () => unknown): string | undefined {
  try {
    parse()
    return undefined
  } catch (error) {
    return GibilError.from(error).message
  }
}
