/** Tokens: who may call the daemon beside its administrator, and how much their boxes may take together. */
import * as z from 'zod'
import { BoxName, DurationInput } from './box.ts'

/** A DNS label, as for boxes: it stands behind the `@` in `<box>@<token>`. */
const TokenName = BoxName

const Amounts = z.object({
  boxes: z.int(),
  cpu: z.number().describe('vCPUs'),
  memoryMib: z.int(),
  diskMib: z.int(),
})
/** What boxes take together. */
export type Amounts = z.infer<typeof Amounts>

export const TokenLimits = z.object({
  boxes: Amounts.shape.boxes.nullable().describe('null, here and below: no limit but those of the daemon'),
  cpu: Amounts.shape.cpu.nullable(),
  memoryMib: Amounts.shape.memoryMib.nullable(),
  diskMib: Amounts.shape.diskMib.nullable(),
})
export type TokenLimits = z.infer<typeof TokenLimits>

export const Token = z.object({
  name: TokenName,
  limits: TokenLimits,
  used: Amounts.describe('by all boxes that are kept, whatever their status'),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
})
export type Token = z.infer<typeof Token>

export const NewToken = Token.extend({
  secret: z.string().describe('what the caller sends as bearer token; shown this once and not kept'),
})
export type NewToken = z.infer<typeof NewToken>

export const CreateToken = z.strictObject({
  name: z.string().describe('a DNS label; boxes that an earlier token of this name left belong to it'),
  maxBoxes: z.int().min(0).optional(),
  maxCpu: z.number().min(0).optional(),
  maxMemoryMib: z.int().min(0).optional(),
  maxDiskMib: z.int().min(0).optional(),
  ttl: DurationInput.optional().describe('how long the token is good for; default until it is revoked'),
  form: z
    .enum(['gibil', 'e2b'])
    .optional()
    .describe('e2b: for the door that speaks E2B, and for nothing else; default gibil'),
})
export type CreateToken = z.infer<typeof CreateToken>
