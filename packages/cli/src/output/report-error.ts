import { errorTable, GibilError } from '@gibil/sdk'
import type { Cli } from '../context.ts'
import { clean } from './text.ts'

const maxLogLines = 20

/** Shows a failure and answers with the exit status that the error table gives it. */
export async function reportError(
  thrown: unknown,
  cli: Cli,
  options: { readonly json: boolean; readonly verb?: string | undefined },
): Promise<number> {
  const error = asGibilError(thrown, options.verb)
  if (options.json) cli.stdout.write(`${JSON.stringify(error.toBody(), null, 2)}\n`)
  else cli.stderr.write(describeError(error, cli))
  if (error.code === 'internal' && cli.env['GIBIL_DEBUG'] && thrown instanceof Error)
    cli.stderr.write(`${thrown.stack}\n`)
  return errorTable[error.code].exit
}

function asGibilError(thrown: unknown, verb?: string): GibilError {
  if (thrown instanceof Error && thrown.name === 'UsageError') {
    return new GibilError('invalid_request', thrown.message, { hint: `See \`gibil ${verb ? `${verb} ` : ''}--help\`.` })
  }
  return GibilError.from(thrown)
}

/** `error: …`, the next step, and the end of the log of a failed step. */
export function describeError(error: GibilError, { colors }: Pick<Cli, 'colors'>): string {
  const lines = [`${colors.red('error:')} ${clean(error.message)}`]
  const log = error.details?.['log']
  if (typeof log === 'string' && log.trim() !== '') {
    const step = error.details?.['step']
    lines.push(
      colors.dim(`  ${typeof step === 'string' ? `the end of the log of ${clean(step)}` : 'the end of its log'}:`),
    )
    for (const line of log.trimEnd().split('\n').slice(-maxLogLines)) lines.push(colors.dim(`  | ${clean(line)}`))
  }
  lines.push(`  ${colors.cyan('next:')} ${clean(error.hint)}`)
  return `${lines.join('\n')}\n`
}
