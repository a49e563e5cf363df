import { GibilError, type StartCommand } from '@gibil/contract'

/** What boxd is asked to start: a line becomes an argument of bash. Throws `invalid_request` unless exactly one form is given. */
export function startRequest({ argv, command, ...rest }: StartCommand): { argv: string[] } & typeof rest {
  if ((argv === undefined) === (command === undefined)) {
    throw new GibilError('invalid_request', 'A command needs either argv or command, and not both.')
  }
  return { ...rest, argv: argv ?? ['bash', '-c', command ?? ''] }
}
