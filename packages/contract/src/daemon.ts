/** What the daemon says of itself, and answers that belong to no single box. */
import * as z from 'zod'
import { BoxName, Failure, Provider, Shape } from './box.ts'
import { Metrics } from './file.ts'

/** The version of the HTTP API; its routes are below `/v1`. */
export const apiVersion = 1

export const Health = z.object({
  status: z.enum(['starting', 'ok', 'stopping']).describe('starting: what was begun before is still being finished'),
})
export type Health = z.infer<typeof Health>

/** Where the published ports of boxes are served. */
export const ProxyState = z.object({
  port: z.int().nullable().describe('on 127.0.0.1; null: it does not listen'),
  problem: z.string().nullable().describe('why it does not'),
})
export type ProxyState = z.infer<typeof ProxyState>

/** The SSH server of the daemon, behind which every box is. */
export const SshState = z.object({
  host: z
    .string()
    .nullable()
    .describe('the address that it listens on, `0.0.0.0` or `::` being all; null: it does not listen'),
  port: z.int().nullable().describe('null: it does not listen'),
  problem: z.string().nullable().describe('why it does not'),
  hostKey: z.string().describe('public, as in known_hosts: `ssh-ed25519 AAAA…`'),
})
export type SshState = z.infer<typeof SshState>

export const Version = z.object({
  name: z.literal('gibild'),
  version: z.string(),
  api: z.int(),
  home: z.string(),
  pid: z.int(),
  startedAt: z.iso.datetime(),
  uptimeMs: z.number(),
  shapes: z
    .array(z.object({ shape: Shape, provider: Provider, unavailable: Failure.nullable() }))
    .describe('what boxes can be made here, and why not'),
  proxy: ProxyState,
})
export type Version = z.infer<typeof Version>

/** One thing that a driver needs of its host. */
export const HostCheck = z.object({
  name: z.string(),
  ok: z.boolean(),
  required: z.boolean().describe('without it no box can be made; else something works less well'),
  detail: z.string(),
  mend: z.string().describe('what to do when it is not ok'),
})
export type HostCheck = z.infer<typeof HostCheck>

/** `$GIBIL_HOME/gibild.json` while a daemon runs: where it is reached. The token is in `$GIBIL_HOME/token`. */
export const DaemonFile = z.object({
  version: z.string(),
  api: z.int(),
  pid: z.int(),
  home: z.string(),
  socket: z.string().describe('short enough to connect to, also when the home directory has a long name'),
  url: z.string().describe('such as http://127.0.0.1:40123'),
  proxy: z.int().nullable().optional().describe('the port on 127.0.0.1 where published ports are served'),
  startedAt: z.iso.datetime(),
})
export type DaemonFile = z.infer<typeof DaemonFile>

/** What one running box uses now; `failure` when it could not be asked in time. */
export const TopEntry = z.object({
  id: z.string(),
  name: BoxName,
  shape: Shape,
  metrics: Metrics.nullable(),
  failure: Failure.nullable(),
})
export type TopEntry = z.infer<typeof TopEntry>

/** A part of what set-up printed. */
export const SetupLogPage = z.object({
  text: z.string(),
  nextOffset: z.int(),
  done: z.boolean().describe('set-up has ended and nothing more will come'),
})
export type SetupLogPage = z.infer<typeof SetupLogPage>

export const SweepResult = z.object({
  removed: z.array(z.string()).describe('ids of boxes whose remains were removed'),
})
export type SweepResult = z.infer<typeof SweepResult>
