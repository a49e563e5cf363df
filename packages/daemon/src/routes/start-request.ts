import type { StartRequest } from '@gibil/boxd-client'
import { GibilError, type StartCommand } from '@gibil/contract'

/** What boxd is asked to start: a line becomes an argument of bash. Throws `invalid_request` unless exactly one form is given. */
export function startRequest<T extends StartCommand>({
  argv,
  command,
  ...rest
}: T): Omit<T, 'argv' | 'command'> & StartRequest {
  if ((argv === undefined) === (command === undefined)) {
    throw new GibilError('invalid_request', 'A command needs either argv or command, and not both.')
  }
  return { ...rest, argv: argv ?? ['bash', '-c', command ?? ''] }
}
