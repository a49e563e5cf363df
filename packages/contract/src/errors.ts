/** The one table of errors: every failure a user can meet has a code here. */

/** What a code means to each door. `status` is HTTP, `exit` is the CLI's exit status (run uses 125 instead). */
export interface ErrorKind {
  readonly status: number
  readonly exit: number
  /** One sentence for docs/errors.md: when it happens. */
  readonly when: string
  /** What to do next, used when the thrower knows nothing better. */
  readonly hint: string
}

const kind = (status: number, exit: number, when: string, hint: string): ErrorKind => ({
  status,
  exit,
  when,
  hint,
})

/** CLI exit statuses: 1 failed, 2 wrong input, 3 not found, 4 conflict, 5 refused or unsupported, 6 not reachable. */
export const errorTable = {
  invalid_request: kind(
    400,
    2,
    'A request or argument does not fit the schema.',
    'See `gibil <verb> --help` or /v1/docs.',
  ),
  invalid_name: kind(
    400,
    2,
    'The name of a box, a snapshot or a token is not a DNS label.',
    'Use 1 to 63 of a-z, 0-9 and "-", starting with a letter and not ending with "-".',
  ),
  invalid_duration: kind(
    400,
    2,
    'A duration cannot be read or is not positive.',
    'Write 90m, 2h, 7d, 1mo, or a number of minutes.',
  ),
  invalid_size: kind(
    400,
    2,
    'A size is unknown or not a positive amount.',
    'Use small, medium or large, or --cpu 2 --memory 4G --disk 10G.',
  ),
  invalid_repo: kind(
    400,
    2,
    'A repository cannot be understood.',
    'Use github.com/you/project, https://…, git@host:you/project or a local path.',
  ),
  invalid_path: kind(
    400,
    2,
    'A path is empty, holds a NUL byte or leaves the tree it must stay in.',
    'Give an absolute path in the box, or one relative to the home directory.',
  ),
  invalid_config: kind(
    422,
    2,
    'A .gibil.yml or config file does not fit its schema.',
    'Correct the line that the message names; the schema is in docs/gibil-yml.md.',
  ),
  invalid_user_data: kind(
    422,
    2,
    'The cloud-init text for a machine cannot be used.',
    'Give a #cloud-config, a script that begins with "#!", or both as MIME; see docs/cloud-init.md.',
  ),
  lease_out_of_range: kind(
    422,
    2,
    'A TTL is outside what the shape allows.',
    'A vm lives 15m to 30d; container and microvm take 1s to 365d or "none".',
  ),
  contradictory_needs: kind(
    422,
    2,
    'No box has all that is needed.',
    'Leave out one of the needs that the message names; see docs/choosing.md.',
  ),
  size_beyond_host: kind(
    422,
    5,
    'The size asked for does not fit this machine.',
    'Choose a smaller size, or another provider.',
  ),
  unsupported_by_shape: kind(
    422,
    5,
    'The shape of this box cannot do what was asked.',
    'Create a box of a shape that can.',
  ),
  unsupported_by_door: kind(
    501,
    5,
    'A door that speaks the protocol of another product was asked for what it does not do.',
    'See the table of that door, such as docs/e2b.md.',
  ),
  unauthorized: kind(
    401,
    5,
    'The token is missing, wrong, revoked or expired.',
    'Read the token from $GIBIL_HOME/token, or set GIBIL_TOKEN.',
  ),
  forbidden: kind(
    403,
    5,
    'The request came from a place that is not allowed.',
    'Call the API by its own address, without a foreign Host or Origin header.',
  ),
  administrator_only: kind(
    403,
    5,
    'The token may not do this: it reaches its own boxes and the list of images.',
    'Ask the administrator, who has the unix socket and $GIBIL_HOME/token.',
  ),
  box_not_found: kind(404, 3, 'No box has this name or id.', 'See `gibil list`.'),
  fleet_not_found: kind(404, 3, 'No box belongs to this fleet.', 'See `gibil list`.'),
  image_not_found: kind(404, 3, 'No image has this name.', 'See `gibil image list`, or build, pull or import it.'),
  job_not_found: kind(404, 3, 'The box knows no job with this id.', 'See `gibil jobs <box>`.'),
  file_not_found: kind(
    404,
    3,
    'The path does not exist in the box.',
    'List the directory with `gibil run <box> -- ls`.',
  ),
  token_not_found: kind(404, 3, 'No token has this name.', 'See `gibil token list`.'),
  snapshot_not_found: kind(404, 3, 'No snapshot has this name or id.', 'See `gibil snapshots`.'),
  volume_not_found: kind(404, 3, 'No volume has this name or id.', 'See `gibil volume list`.'),
  session_not_found: kind(
    404,
    3,
    'No session has this id, and none ran in a box of this name.',
    'See `gibil session list`.',
  ),
  port_not_published: kind(
    404,
    3,
    'The port of the box has no address of its own.',
    'Publish it: `gibil publish <box> <port>`; see `gibil ports <box>`.',
  ),
  not_found: kind(404, 3, 'The API has no such route.', 'See /v1/docs.'),
  name_in_use: kind(
    409,
    4,
    'Another box, snapshot, volume or token has this name.',
    'Choose another name, or remove the one that has it.',
  ),
  image_in_use: kind(
    409,
    4,
    'A box or a snapshot still uses the image.',
    'Destroy the boxes, and remove the snapshots, that use it first.',
  ),
  wrong_state: kind(409, 4, 'The box is in a state in which this cannot be done.', 'See `gibil show <box>`.'),
  file_conflict: kind(
    409,
    4,
    'A file is in the way, or is not of the kind needed.',
    'Remove it first, or choose another path.',
  ),
  permission_denied: kind(403, 5, 'The box refused access to a path or process.', 'Use --user root.'),
  payload_too_large: kind(
    413,
    2,
    'The body is larger than this call takes.',
    'Send files by `gibil cp` or `gibil push`.',
  ),
  repo_not_found: kind(
    422,
    3,
    'The repository or branch does not exist, or is private.',
    'Check the address; for a private repository give a token with --repo-token or GIBIL_REPO_TOKEN.',
  ),
  clone_failed: kind(
    422,
    1,
    'The repository could not be cloned.',
    'See the log in the error; check the network of the box.',
  ),
  task_failed: kind(
    422,
    1,
    'A task of .gibil.yml failed.',
    'See `gibil logs <box>`; the box is kept: `gibil shell <box>`.',
  ),
  service_failed: kind(
    422,
    1,
    'A service of .gibil.yml did not become ready.',
    'See `gibil logs <box>`; the box is kept: `gibil shell <box>`.',
  ),
  command_not_found: kind(
    422,
    1,
    'The command or its working directory does not exist in the box.',
    'Check the spelling and the PATH of the box.',
  ),
  command_failed: kind(
    422,
    1,
    'A command that had to succeed ended with another exit code or by a signal.',
    'Read its output in the details of the error.',
  ),
  user_not_found: kind(422, 1, 'The box has no such user.', 'Use agent or root.'),
  timeout: kind(
    504,
    1,
    'Something took longer than it was allowed to.',
    'Give it more time, or look at what it waits for.',
  ),
  cancelled: kind(499, 1, 'The caller went away before it was done.', 'Call again.'),
  interrupted: kind(503, 1, 'The daemon was stopped while this was under way.', 'Call again.'),
  disk_full: kind(
    507,
    1,
    'There is no room left on the disk of the box or of the host.',
    'Free space, or create the box with a larger --disk.',
  ),
  busy: kind(503, 6, 'The daemon has as much work as it takes at once.', 'Try again after the time in Retry-After.'),
  limit_reached: kind(
    429,
    5,
    'A limit on boxes, on what they use together or on snapshots is reached, of the daemon or of the token.',
    'Destroy a box that is not needed.',
  ),
  needs_root: kind(503, 5, 'Boxes of this shape need a daemon that runs as root.', 'Run `sudo ./gibil up`.'),
  missing_tool: kind(
    503,
    5,
    'A program that the host must have is missing.',
    'Run `./gibil up`, or `./gibil doctor` to see what is missing.',
  ),
  host_unfit: kind(503, 5, 'The kernel or set-up of this host lacks something.', 'Run `./gibil doctor`.'),
  image_damaged: kind(
    422,
    1,
    'An image is incomplete or does not match its digest.',
    'Remove it and build, pull or import it again.',
  ),
  box_file_invalid: kind(
    422,
    2,
    'A file is no exported box, is damaged or cut off, or was made by a newer version.',
    'Export the box again: `gibil export <box>`, and compare the sizes after copying.',
  ),
  image_build_failed: kind(
    422,
    1,
    'A step of an image build failed.',
    'Correct the step that the message names and build again; finished steps are cached.',
  ),
  image_pull_failed: kind(
    502,
    1,
    'An image could not be pulled.',
    'Check the reference, the registry and its credentials.',
  ),
  boxd_unreachable: kind(
    502,
    6,
    'The box runs but its boxd does not answer.',
    'Try `gibil restart <box>`; with --force if it hangs.',
  ),
  host_key_mismatch: kind(
    502,
    6,
    'The machine at the address of a box has another SSH host key than the box: it may be another machine.',
    'Look at the box in the console of its provider; destroy it if its machine is gone or was installed anew.',
  ),
  box_elsewhere: kind(
    409,
    4,
    'Another home has adopted the box, and keeps its lease now.',
    'Use it from there, or adopt it again; `gibil destroy <box>` forgets it here and leaves it alone.',
  ),
  box_ended: kind(
    409,
    1,
    'The box ended by itself or hung, and was to stay so: its kernel panicked, it was out of memory, or it was killed.',
    'See its last lines with `gibil show <box>`, then `gibil restart <box>` or destroy it.',
  ),
  port_closed: kind(
    502,
    6,
    'Nothing in the box listens on the port.',
    'Start the program that should; `gibil ports <box>` shows what listens.',
  ),
  port_failed: kind(
    502,
    1,
    'The program behind a port of a box broke off, or answered with something that is not HTTP.',
    'See what it printed: `gibil jobs <box>`, `gibil logs <box> <job>`.',
  ),
  boxd_protocol: kind(
    502,
    1,
    'The box answered with something that is not the protocol.',
    'Do not trust this box; destroy it.',
  ),
  driver_failed: kind(
    500,
    1,
    'The host could not make or change the box.',
    'See the cause, `./gibil doctor`, and the daemon log.',
  ),
  cloud_unauthorized: kind(
    502,
    5,
    'The cloud refused the token of its project: none is there, it is wrong or revoked, or it may only read.',
    'Make one that may read and write in the console of the project, and give it by `gibil init --hcloud-token -`.',
  ),
  cloud_limit: kind(
    503,
    5,
    'A limit of the project at the cloud is reached: servers, addresses, or requests in an hour.',
    'Destroy a box that is not needed, or have the limit raised in the console.',
  ),
  cloud_sold_out: kind(
    503,
    5,
    'The cloud has no machine left of those that fit, within the price cap.',
    'Try again later, raise the cap (--max-price), or name another --server-type or --location.',
  ),
  over_price_cap: kind(
    422,
    5,
    'Every machine that fits costs more than the price cap.',
    'Raise the cap, or ask for a smaller size.',
  ),
  over_budget: kind(
    422,
    5,
    'With this box, or with more time for it, a budget would be passed before its lease ends.',
    'Give it less time or a smaller size, destroy another box, or raise the budget: `gibil config set budget.daily 10`; see `gibil cost`.',
  ),
  cloud_unreachable: kind(
    502,
    6,
    'The API of the cloud gave no answer.',
    'Check the network of the daemon, and the status page of the cloud.',
  ),
  cloud_failed: kind(
    502,
    1,
    'The cloud refused a call, or could not finish what it began.',
    'See the message; the correlation id in the details is what its support asks for.',
  ),
  daemon_unreachable: kind(503, 6, 'No daemon answers.', 'Start it with `./gibil up`.'),
  internal: kind(
    500,
    1,
    'Something that should not happen did.',
    'See the daemon log in $GIBIL_HOME/gibild.log, and report it.',
  ),
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof errorTable

export interface GibilErrorOptions {
  hint?: string | undefined
  cause?: unknown
  /** Facts for programs: the failing step, its log, the name in question. */
  details?: Readonly<Record<string, unknown>> | undefined
}

/** The JSON form of an error, the same from the API and from `--json`. */
export interface ErrorBody {
  readonly error: {
    readonly code: ErrorCode
    readonly message: string
    readonly hint: string
    readonly details?: Readonly<Record<string, unknown>>
  }
}

const brand = Symbol.for('gibil.error')

/** The one error type: a code from the table, what happened and why, and what to do next. */
export class GibilError extends Error {
  readonly code: ErrorCode
  readonly hint: string
  readonly details: Readonly<Record<string, unknown>> | undefined
  readonly [brand] = true

  constructor(code: ErrorCode, message: string, options: GibilErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GibilError'
    this.code = code
    this.hint = options.hint ?? errorTable[code].hint
    this.details = options.details
  }

  /** Whether a value is a GibilError, also one from another copy of this module. */
  static is(value: unknown): value is GibilError {
    return typeof value === 'object' && value !== null && (value as { [brand]?: unknown })[brand] === true
  }

  toBody(): ErrorBody {
    const { code, message, hint, details } = this
    return { error: { code, message, hint, ...(details ? { details } : {}) } }
  }

  /** Rebuilds the error that a daemon sent; anything else becomes `internal`. */
  static fromBody(body: unknown, fallback: string): GibilError {
    const error = (body as Partial<ErrorBody> | null | undefined)?.error
    if (error && typeof error.message === 'string' && error.code in errorTable) {
      return new GibilError(error.code, error.message, { hint: error.hint, details: error.details })
    }
    return new GibilError('internal', fallback, { details: { body } })
  }

  /** Wraps any thrown value, keeping a GibilError as it is. */
  static from(value: unknown, code: ErrorCode = 'internal'): GibilError {
    if (GibilError.is(value)) return value
    const message = value instanceof Error ? value.message : String(value)
    return new GibilError(code, message, { cause: value })
  }
}
