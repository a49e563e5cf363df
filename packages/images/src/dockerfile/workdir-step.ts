import { pathIn } from './configure.ts'
import { makeFolders } from './copy.ts'
import { changeStage } from './read-stage.ts'
import { lookupIn } from './stage.ts'
import type { StepMaker } from './step.ts'
import { expand, SyntaxProblem } from './words.ts'

/** WORKDIR: names the directory, and makes it when it is not there. */
export const workdirStep: StepMaker = async (build, stage, instruction) => {
  const path = expand(instruction.rest.trim(), lookupIn(stage), build.escapeChar)
  if (path === '') throw new SyntaxProblem('It names no directory.')
  const workdir = pathIn(stage, path).replace(/(?<=.)\/$/, '')
  const next = await build.layer(stage, ['workdir', workdir], (folder) =>
    changeStage(build, stage, folder, (merged) => makeFolders(merged, workdir, { uid: 0, gid: 0 })),
  )
  return { ...next, config: { ...next.config, workdir } }
}
