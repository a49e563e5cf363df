import { PortNumber } from '@gibil/contract'

/** Which port of which box an address names. */
export interface Place {
  readonly port: number
  /** Name or id. */
  readonly box: string
}

const form = /^([1-9]\d{0,4})-([a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)\.localhost(?::\d{1,5})?$/
/** RFC 1035 section 2.3.4. */
const longestLabel = 63

/**
 * Reads a Host header such as `3000-my-box.localhost:7080`: the port is what stands before the first dash. Undefined for
 * everything else, in particular for a name that a page lets point to this machine (DNS rebinding).
 */
export function placeOf(host: string | undefined): Place | undefined {
  const [, digits, box] = form.exec((host ?? '').toLowerCase()) ?? []
  const port = PortNumber.safeParse(Number(digits))
  return port.success && box !== undefined ? { port: port.data, box } : undefined
}

/**
 * The host name of a port. A box of a token goes by its id, since its name is unique for its owner only, and since one label
 * below `localhost` makes each a site of its own to a browser. So does a box whose name leaves no room for the port.
 */
export function hostNameOf(
  box: { readonly id: string; readonly name: string; readonly owner: string | null },
  port: number,
): string {
  const byName = `${port}-${box.name}`
  return `${box.owner === null && byName.length <= longestLabel ? byName : `${port}-${box.id}`}.localhost`
}
