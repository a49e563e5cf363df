import type { PortAddress } from '@gibil/contract'
import type { Publication } from '@gibil/core'
import { tokenParameter } from './credentials.ts'
import { hostNameOf } from './host.ts'

/** Where the published ports of a box are reached, by the TCP port on which the proxy listens: null when it does not. */
export function addressesOf({ box, ports }: Publication, proxyPort: number | null): PortAddress[] {
  return ports.map(({ port, public: open, secret }) => {
    const url = proxyPort === null ? null : `http://${hostNameOf(box, port)}:${proxyPort}/`
    return {
      port,
      public: open,
      url,
      link: url === null || open ? url : `${url}?${tokenParameter}=${secret}`,
      token: open ? null : secret,
    }
  })
}
