/** What is read of the API's answers, and no more: a field that nobody reads cannot break us (https://docs.hetzner.cloud). Never `datacenter`, which is gone. */
import * as z from 'zod'

const Labels = z.record(z.string(), z.string())
const Id = z.int().positive()
const Net = z.object({ net: z.string() })

export const ApiAction = z.object({
  id: Id,
  command: z.string(),
  /** An open set: what is neither `success` nor `error` is under way. */
  status: z.string(),
  error: z.object({ code: z.string(), message: z.string() }).nullish(),
})
export type ApiAction = z.infer<typeof ApiAction>

export const ApiServerType = z.object({
  id: Id,
  name: z.string(),
  architecture: z.string(),
  cores: z.number(),
  /** In GiB. */
  memory: z.number(),
  /** In GB. */
  disk: z.number(),
  deprecated: z.boolean().nullish(),
  /** `available` is there since 2026-04. */
  locations: z
    .array(z.object({ name: z.string(), available: z.boolean().nullish(), deprecation: z.unknown() }))
    .nullish(),
  prices: z.array(z.object({ location: z.string(), price_hourly: Net, price_monthly: Net })),
})
export type ApiServerType = z.infer<typeof ApiServerType>

export const ApiPricing = z.object({
  currency: z.string(),
  image: z.object({ price_per_gb_month: Net }).nullish(),
  primary_ips: z.array(
    z.object({
      type: z.string(),
      prices: z.array(z.object({ location: z.string(), price_hourly: Net, price_monthly: Net })),
    }),
  ),
})
export type ApiPricing = z.infer<typeof ApiPricing>

export const ApiImage = z.object({
  id: Id,
  type: z.string(),
  status: z.string(),
  name: z.string().nullish(),
  description: z.string(),
  architecture: z.string(),
  /** The least disk that a server made of it has, in GB. */
  disk_size: z.number(),
  /** What is billed of it, in GB; null while it is made. */
  image_size: z.number().nullish(),
  created: z.string(),
  created_from: z.object({ id: Id, name: z.string() }).nullish(),
  labels: Labels,
})
export type ApiImage = z.infer<typeof ApiImage>

export const ApiServer = z.object({
  id: Id,
  name: z.string(),
  status: z.string(),
  created: z.string(),
  labels: Labels,
  location: z.object({ name: z.string() }),
  server_type: ApiServerType,
  image: z.object({ id: Id }).nullish(),
  public_net: z.object({
    ipv4: z.object({ id: Id.nullish(), ip: z.string() }).nullish(),
    ipv6: z.object({ id: Id.nullish(), ip: z.string() }).nullish(),
  }),
})
export type ApiServer = z.infer<typeof ApiServer>

export const ApiSshKey = z.object({ id: Id, name: z.string(), public_key: z.string(), labels: Labels })
export type ApiSshKey = z.infer<typeof ApiSshKey>

export const ApiFirewall = z.object({ id: Id, name: z.string(), labels: Labels.optional() })
export type ApiFirewall = z.infer<typeof ApiFirewall>

export const ApiPrimaryIp = z.object({
  id: Id,
  name: z.string(),
  ip: z.string(),
  auto_delete: z.boolean(),
  assignee_id: Id.nullish(),
  labels: Labels,
})
export type ApiPrimaryIp = z.infer<typeof ApiPrimaryIp>

export const ApiVolume = z.object({ id: Id, name: z.string(), server: Id.nullish(), labels: Labels })
export type ApiVolume = z.infer<typeof ApiVolume>

/** Pages: `next_page` is null on the last one. */
export const Meta = z.object({ pagination: z.object({ next_page: z.int().nullable() }) })
