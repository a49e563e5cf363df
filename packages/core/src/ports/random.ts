/** Random bytes good enough for ids that nobody guesses. */
export type RandomBytes = (length: number) => Uint8Array
