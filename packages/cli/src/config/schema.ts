import * as z from 'zod'

const amount = z.union([z.string(), z.number()])

/** Defaults for `create`, which flags override. */
export const Defaults = z
  .strictObject({
    image: z.string(),
    provider: z.enum(['local', 'hetzner']),
    shape: z.enum(['auto', 'container', 'microvm', 'vm', 'managed']),
    size: z.enum(['small', 'medium', 'large']),
    cpu: amount,
    memory: amount,
    disk: amount,
    ttl: amount,
    idle: amount,
    onExpire: z.enum(['destroy', 'stop', 'pause']),
    onIdle: z.enum(['pause', 'stop', 'destroy']),
    onFailure: z.enum(['restart', 'stop', 'destroy']),
    user: z.string(),
    network: z.enum(['internet', 'lan', 'none']),
    isolation: z.enum(['namespaces', 'gvisor']),
    env: z.record(z.string(), z.string()),
    labels: z.record(z.string(), z.string()),
  })
  .partial()
export type Defaults = z.infer<typeof Defaults>

/** How `gibil up` starts the daemon. */
const Daemon = z
  .strictObject({
    pool: z.int().min(0).max(256),
    proxy: z.union([z.int().min(1).max(65_535), z.literal('off')]),
    ssh: z.union([z.int().min(1).max(65_535), z.literal('off'), z.string().regex(/^[0-9a-fA-F.:[\]]+:\d+$/)]),
  })
  .partial()

/** `config.yml`. */
export const Config = z.strictObject({ defaults: Defaults.optional(), daemon: Daemon.optional() })
export type Config = z.infer<typeof Config>
