import { GibilError, PortAddress, PublishPort } from '@gibil/contract'
import * as z from 'zod'
import type { Api } from '../api.ts'
import { empty, json, type Route, route } from '../http/route.ts'
import { checked } from '../http/validate.ts'
import { addressesOf } from '../proxy/address.ts'
import { port as portText } from './query.ts'

const tag = 'ports'

const portOf = (text: string): number => checked(z.strictObject({ port: portText }), { port: text }, 'path').port

/** Addresses are of use only while the proxy listens. Throws `host_unfit`. */
function checkProxy({ daemon }: Api): void {
  const { problem } = daemon.proxy.state()
  if (problem === null) return
  throw new GibilError('host_unfit', `The proxy of the daemon does not listen: ${problem}.`, {
    hint: 'Set daemon.proxy in config.yml to a free port, then: gibil down; gibil up.',
  })
}

export const publishedRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/boxes/{box}/published',
    id: 'listPublishedPorts',
    tag,
    summary: 'Published ports of a box, with their addresses and tokens',
    answer: json(z.array(PortAddress)),
    errors: ['box_not_found'],
    handle: async ({ param }, { plane, daemon }) =>
      addressesOf(await plane.published(param('box')), daemon.proxy.state().port),
  }),
  route({
    method: 'put',
    path: '/boxes/{box}/published/{port}',
    id: 'publishPort',
    tag,
    summary: 'Give a port of a box an address of its own',
    description:
      'Private unless `public`: then whoever shows its token is let in, or a token of the API that owns the box. Again: changes that, and keeps the token.',
    body: PublishPort,
    answer: json(PortAddress),
    errors: ['box_not_found', 'wrong_state', 'limit_reached', 'host_unfit'],
    handle: async ({ param, body }, api) => {
      const port = portOf(param('port'))
      // Whose box it is not learns nothing but that.
      await api.plane.published(param('box'))
      checkProxy(api)
      const publication = await api.plane.publish(param('box'), port, { public: body.public ?? false })
      // Who was let in while it was public may not be now.
      if (!body.public) api.daemon.proxy.visits.cut(publication.box.id, port)
      const address = addressesOf(publication, api.daemon.proxy.state().port).find((one) => one.port === port)
      if (address) return address
      throw new GibilError('port_not_published', `Port ${port} was taken back meanwhile.`)
    },
  }),
  route({
    method: 'delete',
    path: '/boxes/{box}/published/{port}',
    id: 'unpublishPort',
    tag,
    summary: 'Take the address of a port back',
    description: 'Its token is gone, and what is open to it is cut.',
    answer: empty,
    errors: ['box_not_found', 'port_not_published', 'wrong_state'],
    handle: async ({ param }, { plane, daemon }) => {
      const port = portOf(param('port'))
      const { box } = await plane.unpublish(param('box'), port)
      daemon.proxy.visits.cut(box.id, port)
    },
  }),
]
