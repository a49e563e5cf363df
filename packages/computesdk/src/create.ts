import type { CreateSandboxOptions } from '@computesdk/provider'
import type { Box, BoxHandle, CreateOptions } from '@gibil/sdk'
import { clientOf, type GibilConfig } from './client.ts'

/** So that `list` shows boxes of this door, and none that somebody uses otherwise. */
const label = 'computesdk'
export const madeHere = ({ labels }: Pick<Box, 'labels'>): boolean => labels[label] !== undefined

export async function createBox(config: GibilConfig, options: CreateSandboxOptions = {}): Promise<BoxHandle> {
  const client = clientOf(config)
  const call = options.signal === undefined ? {} : { signal: options.signal }
  const common = {
    ...leaseOf(options),
    env: { ...config.box?.env, ...options.envs },
    labels: labelsOf(config, options),
  }
  const name = options.name === undefined ? {} : { name: options.name }
  if (options.snapshotId === undefined) {
    return client.create({ ...config.box, ...sizeOf(options), ...common, ...imageOf(options), ...name }, call)
  }
  const { boxes, failures } = await client.fork({ from: options.snapshotId, ...common, ...name }, call)
  const made = boxes[0]
  if (made) return client.box(made.id)
  throw new Error(failures.map(({ failure }) => failure.message).join(' '))
}

/** `timeout` is how long the sandbox may live, in milliseconds. */
const leaseOf = ({ timeout }: CreateSandboxOptions): Pick<CreateOptions, 'ttl'> =>
  timeout === undefined ? {} : { ttl: `${Math.max(1, Math.ceil(timeout / 1000))}s` }

function imageOf({ templateId, image }: CreateSandboxOptions): Pick<CreateOptions, 'image'> {
  const wanted = templateId ?? image
  return wanted === undefined ? {} : { image: wanted }
}

/** Other providers have other words for the same; memory and disk are in MiB in all of those that are taken here. */
function sizeOf(
  options: CreateSandboxOptions,
): Pick<CreateOptions, 'cpu' | 'memoryMib' | 'diskMib' | 'shape' | 'size'> {
  const cpu = options.cpu ?? options.cpus ?? options.vcpus
  const memory = options.memoryMiB ?? options.memMiB ?? options.memoryMb ?? options.memory
  const size = options.size
  const { shape } = options
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memoryMib: memory }),
    ...(options.diskMiB === undefined ? {} : { diskMib: options.diskMiB }),
    ...(size === 'small' || size === 'medium' || size === 'large' ? { size } : {}),
    ...(shape === 'container' || shape === 'microvm' || shape === 'vm' ? { shape } : {}),
  }
}

const labelsOf = (config: GibilConfig, { metadata = {} }: CreateSandboxOptions): Record<string, string> => ({
  ...config.box?.labels,
  ...Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, String(value)])),
  [label]: 'true',
})
