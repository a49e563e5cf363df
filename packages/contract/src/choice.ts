/** What a box is needed for, and which box that is. */
import * as z from 'zod'
import { CreateBox, DurationInput, Failure, Provider, Shape, Size, SizePreset } from './box.ts'
import { cloudName } from './cloud.ts'
import { Amount } from './price.ts'

/** What is needed; whatever is not said does not matter. */
export const Needs = z.strictObject({
  isolation: z
    .enum(['shared-kernel', 'own-kernel', 'other-machine'])
    .optional()
    .describe('what must stand between the code in the box and this machine'),
  where: z
    .enum(['here', 'own-cloud'])
    .optional()
    .describe('here: nothing may leave this machine; own-cloud: in a cloud account of your own'),
  location: cloudName.optional().describe('a location of the cloud, such as fsn1, where rules say so'),
  ttl: DurationInput.optional().describe('how long it is to live; "none": without an end'),
  size: SizePreset.optional(),
  cpu: z.number().positive().optional(),
  memoryMib: z.int().positive().optional(),
  diskMib: z.int().positive().optional(),
  docker: z.boolean().optional(),
  services: z
    .enum(['command', 'image', 'unit'])
    .optional()
    .describe(
      'programs beside the work, as .gibil.yml has them: command lines, container images, or units of systemd such as PostgreSQL',
    ),
  publicAddress: z.boolean().optional().describe('an address of its own on the internet'),
  workstation: z.boolean().optional().describe('a machine that is ready for any work'),
  agent: z
    .enum(['claude', 'codex', 'gemini', 'opencode', 'any'])
    .optional()
    .describe('which agent works in it; any: one that nobody knows yet'),
  embed: z.boolean().optional().describe('short runs of code of others, inside a product'),
  maxHourly: Amount.optional().describe('what an hour may cost, net; 0: nothing'),
})
export type Needs = z.infer<typeof Needs>

/** Something that was said of a need, by the name of its field. */
const Remark = z.object({ need: z.string(), text: z.string() })
export type Remark = z.infer<typeof Remark>

export const ChoiceCost = z.object({
  currency: z.string(),
  hourly: Amount,
  monthly: Amount.describe('what a calendar month costs at most'),
  total: Amount.nullable().describe('for the whole time to live'),
  serverType: z.string(),
  location: z.string(),
})
export type ChoiceCost = z.infer<typeof ChoiceCost>

export const Alternative = z.object({
  shape: Shape,
  provider: Provider,
  lacks: z.array(Remark).describe('of what is needed; empty: it would do too'),
  note: z.string().nullable().describe('why it was not chosen although it would do'),
  unavailable: Failure.nullable(),
})
export type Alternative = z.infer<typeof Alternative>

export const Choice = z.object({
  shape: Shape,
  provider: Provider,
  image: z.string(),
  size: Size,
  reasons: z.array(Remark).describe('what each need asks for; empty when nothing was needed'),
  missing: z.array(Remark).describe('what was asked for and no box has yet'),
  warnings: z.array(z.string()),
  unavailable: Failure.nullable().describe('why it cannot be made here now, and what to do; null: it can'),
  before: z.array(z.string()).describe('commands to run first'),
  free: z.boolean().describe('costs no money'),
  cost: ChoiceCost.nullable().describe('null: it costs nothing, or what it costs could not be asked'),
  create: CreateBox.describe('the body of POST /v1/boxes'),
  command: z.string().describe('the same as a command line'),
  others: z.array(Alternative).describe('every other box, lightest first'),
})
export type Choice = z.infer<typeof Choice>
