import { CreateBox } from '@gibil/sdk'
import * as z from 'zod'

const { shape, provider, cloud, image, size, cpu, ttl, idle, onExpire, env, network, labels, name } = CreateBox.shape

export const boxRef = z.string().min(1).describe('name or id of the box')

/** What a box is made of. The schemas are those of the API, where a model needs the same. */
export const boxFields = {
  name: name.describe('a DNS label such as "web-1"; made up when absent'),
  repo: z
    .string()
    .optional()
    .describe('https address or github.com/you/project; where this server runs on your machine also a local path'),
  branch: z.string().optional(),
  image: image.describe('default base: Debian with git, Python, Node and build tools'),
  shape: shape.describe(
    'container (quick), microvm (a kernel of its own), vm (systemd, SSH, Docker) or managed (all tools of a workstation); default auto: what the project needs, else container',
  ),
  provider,
  cloud,
  size: size.describe('small: 2 CPU 4 GiB, medium: 4 CPU 8 GiB, large: 8 CPU 16 GiB'),
  cpu,
  memory: z.string().optional().describe('such as "4G", instead of a size'),
  disk: z.string().optional().describe('such as "10G", instead of a size'),
  ttl: ttl.describe('how long it lives: "90m", "2h", "7d", or a number of minutes; default 60m'),
  idle: idle.describe('sleep after so long without use; it wakes when it is used'),
  onExpire,
  env,
  network: network.describe('internet (default), lan or none'),
  labels,
}

/** A bounded wait: clients give up on a call after a minute or so, unless they are told of progress. */
export const waitSeconds = (standard: number, most: number) =>
  z
    .number()
    .min(0)
    .max(most)
    .default(standard)
    .describe(`how long to wait, ${most} at most; what is waited for goes on afterwards`)

/** What one result may hold of output or of a file. */
export const maxBytes = z
  .int()
  .min(200)
  .max(200_000)
  .default(20_000)
  .describe('how much of it to answer with; the rest is fetched by the cursor in the result')
