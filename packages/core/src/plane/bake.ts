import { type BakedImage, GibilError, type Provider, sizePresets } from '@gibil/contract'
import type { ControlPlane } from '../control-plane.ts'
import type { Driver } from '../ports/driver.ts'
import type { Context } from './context.ts'

type Baking = Pick<ControlPlane, 'bakedImages' | 'bakeImage' | 'removeBakedImage'>

/** Clouds have full machines only. */
const shape = 'vm'

/** Images that are kept where boxes of a cloud are made. This machine has a store of its own for others. */
export function createBaking({ drivers, events }: Pick<Context, 'drivers' | 'events'>): Baking {
  const verbs = async (provider: Provider): Promise<Required<Pick<Driver, 'bake' | 'baked' | 'removeBaked'>>> => {
    const { bake, baked, removeBaked } = await drivers.reach({ provider, shape })
    if (bake && baked && removeBaked) return { bake, baked, removeBaked }
    throw new GibilError('unsupported_by_shape', `Images are not baked for ${provider}.`, {
      hint: 'Build it here: `gibil image build`, or bake it for a cloud: --provider hetzner.',
    })
  }
  const at = (provider: Provider, image: Omit<BakedImage, 'provider'>): BakedImage => ({ ...image, provider })

  return {
    async bakedImages(provider = 'hetzner') {
      const { baked } = await verbs(provider)
      return (await baked()).map((image) => at(provider, image))
    },
    async bakeImage({ name, provider = 'hetzner', cloudInit, cloud, size = 'small' }, { onProgress, signal } = {}) {
      const { bake, baked } = await verbs(provider)
      const before = await baked()
      const image = await bake(
        { name, cloudInit, cloud, size: sizePresets[size] },
        {
          ...(signal ? { signal } : {}),
          onLine: (message) => onProgress?.({ phase: 'bake', message }),
          trace: (phase, ms) => onProgress?.({ phase, ms }),
        },
      )
      if (!before.some(({ id }) => id === image.id)) {
        await events.append('image.added', null, { name, provider, source: `baked as ${image.id}` })
      }
      return at(provider, image)
    },
    async removeBakedImage(name, provider = 'hetzner') {
      const { removeBaked } = await verbs(provider)
      await removeBaked(name)
      await events.append('image.removed', null, { name, provider })
    },
  }
}
