/** The user's shell as /etc/passwd names it; where that is not in the box, the best there is. As sshd, from the home, if it is there. */
const prelude = 'cd 2>/dev/null; SSH_TTY=$(tty 2>/dev/null) && export SSH_TTY || unset SSH_TTY'
const login = '[ -x "$SHELL" ] && exec "$SHELL" -l; command -v bash >/dev/null && exec bash -l; exec sh -l'
const line = '[ -x "$SHELL" ] && exec "$SHELL" -c "$1"; exec sh -c "$1"'

/** What runs a line as sshd would, or a login shell without one. */
export const shellLine = (command: string | undefined): string[] =>
  command === undefined ? ['sh', '-c', `${prelude}; ${login}`] : ['sh', '-c', `${prelude}; ${line}`, 'sh', command]
