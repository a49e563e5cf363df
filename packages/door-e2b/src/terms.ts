import type { Box } from '@gibil/contract'
import * as z from 'zod'

/** What of a create is asked for again later, and a box has no field for. It is kept in a label of the box. */
const Terms = z.object({
  /** As asked for. */
  template: z.string(),
  metadata: z.record(z.string(), z.string()),
  /** Seconds that it lives when it is woken by traffic. */
  timeout: z.number(),
  autoPause: z.boolean(),
  /** False: a pause keeps the disk alone. */
  pauseMemory: z.boolean(),
  autoResume: z.boolean(),
  publicTraffic: z.boolean(),
  maskRequestHost: z.string().nullable(),
  /** Where commands begin when nobody says: of its template; absent: in the home of the user. */
  workdir: z.string().nullish(),
})
export type Terms = z.infer<typeof Terms>

const key = 'e2b'

export const labelsOf = (terms: Terms): Record<string, string> => ({ [key]: JSON.stringify(terms) })

/** Undefined for a box that was not made by this door, which it does not show and does not open. */
export function termsOf({ labels }: Pick<Box, 'labels'>): Terms | undefined {
  try {
    return Terms.safeParse(JSON.parse(labels[key] ?? '')).data
  } catch {
    return undefined
  }
}
