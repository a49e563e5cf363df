/** `root+work` is the user root in the box work; `work` alone is the user of that box. */
export interface Login {
  readonly box: string
  /** Undefined: the user of the box. */
  readonly user: string | undefined
}

/** A name of a box has no plus sign, and those of users hardly ever. */
export function loginOf(username: string): Login {
  const at = username.lastIndexOf('+')
  return at <= 0 ? { box: username, user: undefined } : { box: username.slice(at + 1), user: username.slice(0, at) }
}
