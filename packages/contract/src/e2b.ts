/** The door that speaks E2B: how it is set up, and where it is. */
import * as z from 'zod'
import { Shape } from './box.ts'

/** Far more than any chain of certificates is long. */
const maxPem = 64 * 1024

export const SetUpE2b = z.strictObject({
  shape: Shape.exclude(['vm']).optional().describe('what a sandbox is made as; default what it was, else microvm'),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .describe('on 127.0.0.1; default what it was, else 7443 or any that is free'),
  domain: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9.-]{0,180}[a-z0-9])?(:\d{1,5})?$/)
    .optional()
    .describe('sandboxes are <port>-<id>.<domain>; default what it was, else e2b.localhost with the port'),
  certificate: z
    .object({
      cert: z.string().max(maxPem).describe('in PEM, with those that signed it behind it'),
      key: z.string().max(maxPem).describe('in PEM, without a passphrase'),
    })
    .nullable()
    .optional()
    .describe('of all names below the domain; null: one by an authority of this home; default what it was, else that'),
})
export type SetUpE2b = z.infer<typeof SetUpE2b>

export const E2bDoor = z.object({
  url: z.string().describe('such as http://127.0.0.1:7443; the same port speaks TLS'),
  domain: z.string(),
  shape: SetUpE2b.shape.shape.unwrap(),
  certificateAuthority: z
    .string()
    .nullable()
    .describe(
      'path on this machine of what clients are to trust, in PEM; null: whoever signed the certificate that was given',
    ),
})
export type E2bDoor = z.infer<typeof E2bDoor>
