/** Names that a client may set, as a stock sshd of Debian has them, and what git and terminals ask for on top. */
const accepted = /^(?:LANG|LC_[A-Z_]{1,30}|TZ|COLORTERM|GIT_PROTOCOL|NO_COLOR|TERM_PROGRAM(?:_VERSION)?)$/
const maxValueBytes = 4096

export const isAccepted = (name: string, value: string): boolean =>
  accepted.test(name) && Buffer.byteLength(value) <= maxValueBytes && !value.includes('\0')

/** What a command gets on top of the environment of the box. Shells see by SSH_CONNECTION that somebody came by ssh. */
export function environment(
  given: ReadonlyMap<string, string>,
  terminal: { readonly term?: string } | undefined,
  agentSocket: string | undefined,
): Record<string, string> {
  return {
    SSH_CLIENT: '127.0.0.1 0 22',
    SSH_CONNECTION: '127.0.0.1 0 127.0.0.1 22',
    ...(terminal?.term && /^[\w.+-]{1,64}$/.test(terminal.term) ? { TERM: terminal.term } : {}),
    ...(agentSocket === undefined ? {} : { SSH_AUTH_SOCK: agentSocket }),
    ...Object.fromEntries(given),
  }
}
