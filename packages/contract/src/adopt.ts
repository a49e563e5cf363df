/** Boxes at a provider that another home made, and how one takes them over. */
import * as z from 'zod'
import { DurationInput, Provider } from './box.ts'
import { Cloud } from './cloud.ts'

export const AdoptableBox = z.object({
  id: z.string(),
  name: z.string().describe('as its home called it'),
  provider: Provider,
  owner: z.string().nullable().describe('the token of its home that made it; null: the administrator there'),
  image: z.string(),
  status: z.enum(['running', 'stopped']),
  cloud: Cloud.nullable().describe('null: only a snapshot of it is kept'),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable().describe('when anybody may end it; null: nobody but its home does'),
  home: z.string().describe('tells homes apart'),
  host: z.string().nullable().describe('the machine of its home; null: made by an older version'),
  reachable: z.boolean().describe('false: it was made with another token, so this home has no key to it'),
})
export type AdoptableBox = z.infer<typeof AdoptableBox>

export const AdoptBox = z.strictObject({
  provider: Provider.optional().describe('default hetzner'),
  name: z.string().optional().describe('what it is called here; default: as before'),
  ttl: DurationInput.optional().describe('a new time to live, counted from now; default: the lease goes on'),
})
export type AdoptBox = z.infer<typeof AdoptBox>
