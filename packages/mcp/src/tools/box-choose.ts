import { type Choice, formatMoney, Needs, parseMib, placeInWords, whyNot } from '@gibil/sdk'
import * as z from 'zod'
import { looks, type Tool, tool } from '../tool.ts'

const { memoryMib: _, diskMib: __, ...needs } = Needs.shape

export const boxChoose: Tool = tool({
  name: 'box_choose',
  title: 'Choose a box',
  description:
    'Which box some needs are met by, why, what it costs, and what the others lack. Makes nothing: give create to box_create.',
  effect: looks,
  input: z.object({
    ...needs,
    memory: z.string().optional().describe('such as "4G", to have and not as a limit'),
    disk: z.string().optional().describe('such as "10G"'),
  }),
  output: z.object({
    shape: z.string(),
    provider: z.string(),
    image: z.string(),
    cpu: z.number(),
    memoryMib: z.number(),
    diskMib: z.number(),
    reasons: z.array(z.string()),
    notes: z.array(z.string()).describe('what is missing, and what to be careful about'),
    unavailable: z.string().nullable().describe('why it cannot be made here now'),
    before: z.array(z.string()).describe('commands that the user has to run first'),
    cost: z.string(),
    others: z.array(z.object({ box: z.string(), why: z.string() })).describe('what stands against the others'),
    create: z.record(z.string(), z.unknown()).describe('arguments for box_create'),
  }),
  async handle({ memory, disk, ...rest }, { gibil, signal }) {
    const sized = {
      ...rest,
      ...(memory === undefined ? {} : { memoryMib: parseMib(memory) }),
      ...(disk === undefined ? {} : { diskMib: parseMib(disk) }),
    }
    const asked = Object.fromEntries(Object.entries(sized).filter(([, value]) => value !== undefined))
    const choice = await gibil.choose(asked, { signal })
    const { shape, provider, image, size, reasons, missing, warnings, unavailable, before, others } = choice
    const data = {
      shape,
      provider,
      image,
      ...size,
      reasons: reasons.map(({ text }) => text),
      notes: [...missing.map(({ text }) => text), ...warnings],
      unavailable: unavailable && `${unavailable.message} ${unavailable.hint}`,
      before: [...before],
      cost: costOf(choice),
      others: others.map((other) => ({ box: placeInWords(other), why: whyNot(other) })),
      create: argumentsOf(choice),
    }
    const { create, ...facts } = data
    return { data, text: `${JSON.stringify(facts, null, 1)}\nnext: box_create with ${JSON.stringify(create)}` }
  },
})

function costOf({ cost, free }: Choice): string {
  if (free) return 'nothing'
  if (cost === null) return 'not known'
  const { hourly, monthly, currency } = cost
  return `${formatMoney(hourly, currency)} per hour, ${formatMoney(monthly, currency)} per month at most`
}

/** As box_create takes them. */
function argumentsOf({ create: { memoryMib, diskMib, ...rest } }: Choice): Record<string, unknown> {
  return {
    ...rest,
    ...(memoryMib === undefined ? {} : { memory: `${memoryMib}M` }),
    ...(diskMib === undefined ? {} : { disk: `${diskMib}M` }),
  }
}
