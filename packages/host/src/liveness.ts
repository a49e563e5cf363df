import { readNow } from './files.ts'

export interface ProcStat {
  readonly comm: string
  /** One letter, as in proc_pid_stat(5): Z and X are dead. */
  readonly state: string
}

/** Reads the name and state out of the text of /proc/<pid>/stat. The name may hold anything, also brackets and spaces. */
export function parseProcStat(text: string): ProcStat | undefined {
  const match = /^\d+ \((.*)\) (\w) /s.exec(text)
  return match?.[1] === undefined || match[2] === undefined ? undefined : { comm: match[1], state: match[2] }
}

/**
 * Whether the process is alive and has become what the box should run: until the runtime has executed that, its own set-up process has
 * the pid (named `runc:[…]` or `crun…`).
 */
export async function isUp(pid: number): Promise<boolean> {
  const stat = parseProcStat(readNow(`/proc/${pid}/stat`) ?? '')
  return stat !== undefined && !/^[ZX]$/.test(stat.state) && !/^(runc:\[|crun)/.test(stat.comm)
}

export async function readPid(path: string): Promise<number | undefined> {
  const pid = Number(readNow(path)?.trim() || Number.NaN)
  return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined
}
