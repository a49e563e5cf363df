/** The login shell that /etc/passwd names, else the best there is; as a login shell, so that profiles are read. */
export const shellCommand: readonly string[] = [
  'sh',
  '-c',
  '[ -x "$SHELL" ] && exec "$SHELL" -l; command -v bash >/dev/null && exec bash -l; exec sh -l',
]
