import { AdoptableBox, type AdoptBox, Box } from '@gibil/contract'
import * as z from 'zod'
import { callWithProgress } from './connect/sse.ts'
import type { Transport } from './connect/transport.ts'

interface Cancel {
  readonly signal?: AbortSignal | undefined
}

/** Boxes at a provider that other homes made. For the administrator only. */
export interface Adoption {
  list(options?: Cancel & { readonly provider?: AdoptBox['provider'] }): Promise<AdoptableBox[]>
  /** `ref`: the name of the box in its home, or its id. Throws `box_not_found`, `name_in_use`, `lease_out_of_range`. */
  adopt(ref: string, input?: AdoptBox, options?: Cancel): Promise<Box>
}

export function createAdoption(transport: Transport): Adoption {
  return {
    list: ({ provider, signal } = {}) =>
      transport.call(z.array(AdoptableBox), 'GET', '/adoptable', { query: { provider }, signal }),
    adopt: (ref, body = {}, options = {}) =>
      callWithProgress(transport, Box, 'POST', `/adoptable/${encodeURIComponent(ref)}/adopt`, { body, ...options }),
  }
}
