/** Time, injected so that tests need not wait. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls back once after so many milliseconds; the returned function cancels. */
  after(ms: number, callback: () => void): () => void
}
