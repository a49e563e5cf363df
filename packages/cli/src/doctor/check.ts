/** One thing that a host must have, looked at for real. */
export interface Check {
  readonly name: string
  /** `fail`: boxes do not work without it; `warn`: something is slower or missing; `skip`: nothing to look at here. */
  readonly state: 'ok' | 'warn' | 'fail' | 'skip'
  readonly detail: string
  /** What to type or change; given when the state is `fail` or `warn`. */
  readonly mend?: string
}

export const ok = (name: string, detail: string): Check => ({ name, state: 'ok', detail })
export const warn = (name: string, detail: string, mend: string): Check => ({ name, state: 'warn', detail, mend })
export const fail = (name: string, detail: string, mend: string): Check => ({ name, state: 'fail', detail, mend })
export const skip = (name: string, detail: string): Check => ({ name, state: 'skip', detail })
