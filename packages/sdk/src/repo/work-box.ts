import type { Box, RunResult } from '@gibil/contract'
import type { Command, RunOptions } from '../box/command.ts'
import type { CommandStream, StreamOptions } from '../box/command-stream.ts'
import type { Files } from '../box/files.ts'

/** What moving work needs of a box. */
export interface WorkBox {
  readonly ref: string
  readonly files: Files
  info(options?: { readonly signal?: AbortSignal | undefined }): Promise<Box>
  run(command: Command, options?: RunOptions): Promise<RunResult>
  stream(command: Command, options?: StreamOptions): Promise<CommandStream>
}
