import type { Owner } from '@gibil/core'

/** Memory for the output of commands that are run to their end, for all such calls of one caller together. */
export interface OutputBudget {
  /** Takes so many bytes, or as many as there are; returns how many. They are given back together by `release`. */
  hold(): { take(bytes: number): number; release(): void }
}

/** As much as one call may ask for: 64 MiB each of stdout and stderr. */
const bytesOfToken = 128 * 1024 * 1024
/** Behind the administrator there may be many, and what is cut for him is cut for them. */
const bytesOfAdministrator = 512 * 1024 * 1024

/** One budget for each owner: what one of them holds is not missing to another. */
export function createOutputBudgets(
  bytesOf = (owner: Owner): number => (owner === null ? bytesOfAdministrator : bytesOfToken),
): (owner: Owner) => OutputBudget {
  const used = new Map<Owner, number>()
  return (owner) => ({
    hold() {
      let held = 0
      return {
        take(wanted) {
          const before = used.get(owner) ?? 0
          const taken = Math.min(wanted, bytesOf(owner) - before)
          used.set(owner, before + taken)
          held += taken
          return taken
        },
        release() {
          const left = (used.get(owner) ?? 0) - held
          held = 0
          if (left > 0) used.set(owner, left)
          else used.delete(owner)
        },
      }
    },
  })
}
