/** Waits for all, also when one fails, so that nothing is still going on when the failure is dealt with. Throws the first failure. */
export async function allSettled(tasks: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(tasks)) {
    if (outcome.status === 'rejected') throw outcome.reason
  }
}
