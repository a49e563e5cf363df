/** Ports of a box that programs outside of it reach by an address of their own. */
import * as z from 'zod'

export const PortNumber = z.int().min(1).max(65_535)

export const PublishPort = z.strictObject({
  public: z
    .boolean()
    .optional()
    .describe('true: without a token, for whoever reaches the proxy of the daemon; default false'),
})
export type PublishPort = z.infer<typeof PublishPort>

/** What everyone who sees the box may know of it. */
export const PublishedPort = z.object({ port: PortNumber, public: z.boolean() })
export type PublishedPort = z.infer<typeof PublishedPort>

/** With where it is. Holds the secret of a private port. */
export const PortAddress = PublishedPort.extend({
  url: z
    .string()
    .nullable()
    .describe('such as http://3000-web.localhost:7080/; null while the proxy of the daemon does not listen'),
  link: z.string().nullable().describe('the same, with the token of a private port in it: opens it in a browser'),
  token: z.string().nullable().describe('of this private port alone; null: public'),
})
export type PortAddress = z.infer<typeof PortAddress>

/** What uses a box now. */
export const Activity = z.object({
  since: z.iso.datetime().nullable().describe('in use without a pause since then; null: not in use'),
  commands: z.int().describe('open connections that run or watch commands'),
  files: z.int().describe('open connections that move or watch files'),
  ports: z.int().describe('open connections to ports'),
})
export type Activity = z.infer<typeof Activity>
