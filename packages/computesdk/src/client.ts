import { type ConnectOptions, type CreateOptions, Gibil } from '@gibil/sdk'

export interface GibilConfig extends ConnectOptions {
  /** What boxes are like where a create does not say it: image, shape, size, lease, … */
  readonly box?: Omit<CreateOptions, 'name' | 'repo'>
}

const clients = new WeakMap<GibilConfig, Gibil>()

/** One for each configuration. Its connections hold no process open. */
export function clientOf(config: GibilConfig): Gibil {
  const known = clients.get(config) ?? Gibil.connect(config)
  clients.set(config, known)
  return known
}
