import type { GibilError } from '@gibil/contract'
import type { PortGate, PortPasser } from '@gibil/door-e2b'
import type { Api } from '../api.ts'
import type { Visit } from '../proxy/admit.ts'
import type { Page } from '../proxy/page.ts'
import { createProxy } from '../proxy/serve.ts'

/** Ports of sandboxes go the way of published ports; who may see them, the door says. */
export function passTo(api: Api): PortPasser {
  const proxyFor = (gate: PortGate) =>
    createProxy(api, {
      admit: async ({ url = '/' }) => {
        const { box, port, host } = await gate.admit()
        const visit: Visit = { box, port, host, path: url, ours: () => false, caller: undefined, redirect: undefined }
        return visit
      },
      page: (error) => pageOf(gate, error),
      wakes: false,
    })
  return {
    request: (incoming, outgoing, gate) => proxyFor(gate).request(incoming, outgoing),
    upgrade: (incoming, socket, head, gate) => proxyFor(gate).upgrade(incoming, socket, head),
  }
}

function pageOf(gate: PortGate, error: GibilError): Page {
  const { status, body } = gate.refusal(error)
  const text = JSON.stringify(body)
  return { status, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, body: text }
}
