import type { Operation } from '../operation.ts'
import type { BuildArguments } from './configure.ts'
import type { Context } from './context.ts'
import type { Instruction } from './parse.ts'
import type { Stage } from './stage.ts'

/** What the steps of a build share. */
export interface Build {
  readonly operation: Operation
  readonly context: Context
  readonly escapeChar: string
  readonly outside: BuildArguments
  /** The stage or image that COPY --from means. */
  readonly stageFor: (name: string, before: number) => Promise<Stage>
  /**
   * Adds a layer to a stage: what an earlier build made of the same `key`, else the tree that `make` makes. Steps that change
   * nothing add none.
   */
  readonly layer: (stage: Stage, key: unknown, make: (folder: string) => Promise<string>) => Promise<Stage>
  /** Output of the step under way. */
  readonly say: (line: string) => void
}

export type StepMaker = (build: Build, stage: Stage, instruction: Instruction, index: number) => Promise<Stage>
