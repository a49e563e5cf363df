/** What a box that is not on this machine is asked to be, and is. */
import * as z from 'zod'
import { Amount, Price } from './price.ts'

export const Arch = z.enum(['x86', 'arm'])
export type Arch = z.infer<typeof Arch>

/** Hetzner Cloud takes so much user data (https://docs.hetzner.cloud, POST /servers), and nobody takes more here. */
export const maxCloudInitBytes = 32 * 1024

/** As clouds write the names of server types and locations: `cx33`, `fsn1`. */
export const cloudName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/)

export const CloudWish = z.strictObject({
  serverType: cloudName.optional().describe('such as cx33; default: the cheapest that has the size'),
  location: cloudName.optional().describe('such as fsn1; default: any'),
  arch: Arch.optional(),
  maxHourly: Amount.optional().describe('take nothing that costs more per hour, net, in the currency of the cloud'),
})
export type CloudWish = z.infer<typeof CloudWish>

export const Cloud = z.object({
  serverType: z.string(),
  location: z.string(),
  arch: Arch,
  address: z.string().nullable().describe('its public address'),
  price: Price,
})
export type Cloud = z.infer<typeof Cloud>
