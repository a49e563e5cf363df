import { BuildImage, GibilError, Image, PruneResult, PullImage, SaveImage } from '@gibil/contract'
import * as z from 'zod'
import { readJson, uploadOf } from '../http/body.ts'
import { empty, json, type Route, route } from '../http/route.ts'
import { checked } from '../http/validate.ts'
import { flag, keyValues } from './query.ts'

const tag = 'images'
const isJson = (contentType: string | undefined): boolean => /^application\/json\b/i.test(contentType ?? '')

export const imageRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/images',
    id: 'listImages',
    tag,
    summary: 'List images',
    tokens: true,
    answer: json(z.array(Image)),
    handle: async (_, { images }) => images.list(),
  }),
  route({
    method: 'post',
    path: '/images/pull',
    id: 'pullImage',
    tag,
    summary: 'Pull an OCI image from a registry',
    body: PullImage,
    progress: true,
    answer: json(Image, 201),
    errors: ['image_pull_failed', 'missing_tool', 'disk_full'],
    handle: async ({ body, onProgress, signal }, { images }) => images.pull(body, { onProgress, signal }),
  }),
  route({
    method: 'post',
    path: '/images/build',
    id: 'buildImage',
    tag,
    summary: 'Build an image from a recipe or a Dockerfile',
    description:
      'A JSON body (BuildImage) names a recipe. A tar body is the build context of a Dockerfile, with the parameters in the query.',
    query: z.strictObject({
      name: z.string().optional(),
      dockerfile: z.string().optional().describe('its path in the context; default Dockerfile'),
      arg: keyValues.optional().describe('KEY=value, once for each'),
      noCache: flag.optional(),
    }),
    bodies: { json: BuildImage, upload: 'application/x-tar' },
    progress: true,
    answer: json(Image, 201),
    errors: ['image_build_failed', 'missing_tool', 'disk_full'],
    handle: async ({ query, request, response, onProgress, signal }, { images }) => {
      const options = { onProgress, signal }
      if (isJson(request.headers['content-type'])) {
        const input = checked(BuildImage, await readJson(request, response), 'body')
        return images.build(input, undefined, options)
      }
      const { name, dockerfile, arg: args, noCache } = query
      if (name === undefined) throw new GibilError('invalid_request', 'The query has no name for the image.')
      const input = {
        name,
        ...(dockerfile === undefined ? {} : { dockerfile }),
        ...(args === undefined ? {} : { args }),
        ...(noCache === undefined ? {} : { noCache }),
      }
      return images.build(input, uploadOf(request, response), options)
    },
  }),
  route({
    method: 'post',
    path: '/images/import',
    id: 'importImage',
    tag,
    summary: 'Make an image of a root filesystem',
    description: 'The body is a tar stream of any length.',
    query: z.strictObject({ name: z.string().min(1) }),
    bodies: { upload: 'application/x-tar' },
    progress: true,
    answer: json(Image, 201),
    errors: ['image_damaged', 'disk_full'],
    handle: async ({ query, request, response, onProgress, signal }, { images }) =>
      images.importTar(query.name, uploadOf(request, response), { onProgress, signal }),
  }),
  route({
    method: 'post',
    path: '/images/save',
    id: 'saveImage',
    tag,
    summary: 'Make an image of the files of a box',
    description: 'Boxes of every shape can begin as it. The box stands still meanwhile, and goes on.',
    body: SaveImage,
    progress: true,
    answer: json(Image, 201),
    errors: ['box_not_found', 'wrong_state', 'disk_full'],
    handle: async ({ body, onProgress, signal }, { control }) => {
      const { name } = await control.get(body.box)
      return control.saveImage(body.box, body.name ?? name, { onProgress, signal })
    },
  }),
  route({
    method: 'post',
    path: '/images/prune',
    id: 'pruneImages',
    tag,
    summary: 'Remove what no image uses any more',
    answer: json(PruneResult),
    handle: async (_, { images }) => images.prune(),
  }),
  route({
    method: 'delete',
    path: '/images/{name}',
    id: 'removeImage',
    tag,
    summary: 'Remove an image',
    description: 'Slashes in the name are written as %2F.',
    answer: empty,
    errors: ['image_not_found', 'image_in_use'],
    handle: async ({ param }, { images }) => images.remove(param('name')),
  }),
]
