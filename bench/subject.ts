/** A system under test: something that makes boxes (in the peer's words: containers) from one and the same root file system. */
export interface Subject {
  readonly name: string
  /** A box that takes commands. */
  create(): Promise<Running>
  /** Waits until it does nothing by itself any more, so that it does not disturb whose turn comes next. */
  settle?(): Promise<void>
  /** What its own processes take, in bytes of memory that is theirs alone (PSS); undefined where there is no daemon. */
  daemonBytes?(): Promise<number>
}

export interface Running {
  /** Runs a line of shell as the user of the image. Throws unless it ends with status 0. */
  run(line: string): Promise<string>
  destroy(): Promise<void>
  /** Ids of the processes that exist because of this box, its own and helpers on the host. */
  pids?(): Promise<readonly number[]>
}
