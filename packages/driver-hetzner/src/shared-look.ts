import type { CallOptions, Client } from './client/client.ts'
import type { Pace } from './client/pace.ts'
import { labelNames } from './labels.ts'
import { byBox, look, type Things } from './survey.ts'

/** A daemon looks at each of its boxes once a minute, one after the other. */
const freshMs = 10_000

/** What there is of all boxes of the project, asked for once by whoever needs it at about the same time: a look takes the same few requests for one box and for fifty. */
export interface SharedLook {
  /** At most 10 s old, and never from before the last change that this process made. */
  all(options: CallOptions): Promise<ReadonlyMap<string, Things>>
  /** Something was changed: who asks from now on is told of it. */
  forget(): void
}

export function createSharedLook(client: Client, pace: Pace): SharedLook {
  let known: { readonly at: number; readonly boxes: Promise<ReadonlyMap<string, Things>> } | undefined
  return {
    all(options) {
      if (known !== undefined && pace.now() - known.at < freshMs) return known.boxes
      const mine = { at: pace.now(), boxes: look(client, labelNames.boxId, options).then(byBox) }
      known = mine
      mine.boxes.catch(() => {
        if (known === mine) known = undefined
      })
      return mine.boxes
    },
    forget() {
      known = undefined
    },
  }
}
