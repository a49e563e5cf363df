import { GibilError, refOf } from '@gibil/sdk'
import { type McpServer, ResourceNotFoundError, ResourceTemplate } from '@modelcontextprotocol/server'
import { boxState } from './results/box.ts'
import type { Workplace } from './tool.ts'

const scheme = 'gibil://boxes/'

/** Boxes to look at, for clients that show resources. All of it can be had by tools, since many show none. */
export function registerResources(server: McpServer, { gibil }: Workplace): void {
  const template = new ResourceTemplate(`${scheme}{box}`, {
    list: async () => ({
      resources: (await gibil.list()).map((box) => ({
        uri: scheme + encodeURIComponent(refOf(box)),
        name: refOf(box),
        mimeType: 'application/json',
      })),
    }),
  })
  const about = { title: 'Boxes', description: 'What a box is, has left and costs.', mimeType: 'application/json' }
  server.registerResource('box', template, about, async (uri, { box }) => {
    const name = decodeURIComponent(String(box))
    try {
      const info = await (await gibil.get(name)).info()
      const text = JSON.stringify({ ...boxState(info), shape: info.shape, image: info.image, size: info.size }, null, 1)
      return { contents: [{ uri: uri.href, mimeType: 'application/json', text }] }
    } catch (error) {
      if (GibilError.is(error) && error.code === 'box_not_found') throw new ResourceNotFoundError(uri.href)
      throw error
    }
  })
}
