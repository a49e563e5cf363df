import { GibilError } from '@gibil/contract'

/** As a shell says it of a command, and ssh of itself. */
const statuses: Readonly<Record<string, number>> = { command_not_found: 127, permission_denied: 126 }
const ownFailure = 255

/** What a user is told, on standard error, and the exit status. */
export function failureOf(thrown: unknown): { readonly text: string; readonly status: number } {
  const { code, message, hint } = GibilError.from(thrown)
  return { text: `gibil: ${message}\n${hint ? `  next: ${hint}\n` : ''}`, status: statuses[code] ?? ownFailure }
}
