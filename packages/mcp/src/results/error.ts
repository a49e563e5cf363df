import { type ErrorCode, GibilError } from '@gibil/sdk'
import type { CallToolResult } from '@modelcontextprotocol/server'

/** What a model that has these tools, and no command line, does next. Codes without an entry have a hint that fits everyone. */
const nextSteps: Partial<Record<ErrorCode, string>> = {
  invalid_request: 'Correct the arguments; the schema of the tool says what they are.',
  invalid_size: 'Give size small, medium or large, or cpu with memory and disk such as "4G".',
  box_not_found: 'Call box_list for the boxes that there are, or box_create to make one.',
  fleet_not_found: 'Call box_list: it names the fleet of each box.',
  image_not_found: 'Leave image out for the default, or ask the user to build or pull it: `gibil image --help`.',
  session_not_found: 'Call session_list.',
  job_not_found: 'Call job_list for the commands of the box.',
  file_not_found: 'Call file_list for what is in the directory.',
  snapshot_not_found: 'Call box_show: it names the snapshots of a box.',
  name_in_use: 'Choose another name, or use the box that has it.',
  wrong_state: 'Call box_show for the state of the box. box_resume starts a stopped box and wakes a paused one.',
  permission_denied: 'Give user "root".',
  payload_too_large: 'Work on a part of it, or in the box with box_run.',
  task_failed: 'The box is kept: look into it with box_run, or make another.',
  service_failed: 'The box is kept: look into it with box_run, or make another.',
  disk_full: 'Free room in the box with box_run, or make a box with a larger disk.',
  limit_reached: 'Destroy a box that is not needed: box_list, then box_destroy.',
  size_beyond_host: 'Choose a smaller size.',
  unsupported_by_shape: 'Make a box of a shape that can, or make this one such: box_move. The message names one.',
  contradictory_needs: 'Give up one of the needs that the message names, and call again.',
  boxd_unreachable: 'Call box_show; if the box stays so, destroy it and make another.',
  box_ended: 'Call box_show for why, then box_resume, or destroy it.',
  port_closed: 'Start the program that should listen, with box_run and waitSeconds 0.',
  busy: 'Wait a few seconds and call again.',
  interrupted: 'Call again. A command that was running goes on: job_list finds it.',
  unauthorized: 'Ask the user for a token: GIBIL_TOKEN, or the one in $GIBIL_HOME/token.',
  daemon_unreachable: 'Ask the user to start Gibil with `./gibil up`.',
  cancelled: 'Call again. A command that was running goes on: job_list finds it.',
}

/** Any failure as a result: what happened, why, and which call comes next. */
export function errorResult(thrown: unknown): CallToolResult {
  const error = GibilError.from(thrown)
  const { code, message } = error
  const log = error.details?.['log']
  const shown = typeof log === 'string' && log !== '' ? `\nits output ends with:\n${log.slice(-2000)}` : ''
  return { content: [{ type: 'text', text: `${code}: ${message}${shown}\nnext: ${nextStep(error)}` }], isError: true }
}

/** Hints of these tools name a tool; of those of the daemon, which are for its command line, the table above takes the place. */
const nextStep = ({ code, hint, details }: GibilError): string =>
  details?.['forModel'] === true ? hint : (nextSteps[code] ?? hint)

/** An error of a tool with a hint of its own. */
export const toolError = (code: ErrorCode, message: string, hint: string): GibilError =>
  new GibilError(code, message, { hint, details: { forModel: true } })
