import { BakedImage, BakeImage, Provider } from '@gibil/contract'
import * as z from 'zod'
import { empty, json, type Route, route } from '../http/route.ts'

const tag = 'images'
const where = z.strictObject({ provider: Provider.optional().describe('default hetzner') })

/** Images that a cloud keeps: they cost something, so they are for the administrator. */
export const bakedRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/images/baked',
    id: 'listBakedImages',
    tag,
    summary: 'List images that a cloud keeps',
    query: where,
    answer: json(z.array(BakedImage)),
    errors: ['cloud_unauthorized', 'cloud_unreachable', 'unsupported_by_shape'],
    handle: async ({ query }, { control }) => control.bakedImages(query.provider),
  }),
  route({
    method: 'post',
    path: '/images/bake',
    id: 'bakeImage',
    tag,
    summary: 'Make an image at a cloud, of which boxes begin without installing anything',
    description:
      'On a machine of its own, which is billed for the hours that have begun. One that was baked of the same text is kept; else it replaces those of its name. ' +
      'Leaving early ends it, and removes the machine.',
    body: BakeImage,
    progress: true,
    answer: json(BakedImage, 201),
    errors: ['image_not_found', 'invalid_user_data', 'driver_failed', 'timeout', 'cloud_sold_out', 'over_price_cap'],
    handle: async ({ body, onProgress, signal }, { control, images }) => {
      const cloudInit = body.cloudInit ?? (await images.cloudScript(body.name))
      return control.bakeImage({ ...body, cloudInit }, { onProgress, signal })
    },
  }),
  route({
    method: 'delete',
    path: '/images/baked/{name}',
    id: 'removeBakedImage',
    tag,
    summary: 'Remove an image that a cloud keeps; boxes that began as it live on',
    query: where,
    answer: empty,
    errors: ['image_not_found'],
    handle: async ({ param, query }, { control }) => control.removeBakedImage(param('name'), query.provider),
  }),
]
