import type { Tool } from '../tool.ts'
import { boxChoose } from './box-choose.ts'
import { boxCreate } from './box-create.ts'
import { boxDestroy } from './box-destroy.ts'
import { boxExtend, boxPause, boxResume } from './box-lease.ts'
import { boxList } from './box-list.ts'
import { boxMove } from './box-move.ts'
import { boxRun } from './box-run.ts'
import { boxShow } from './box-show.ts'
import { boxWait } from './box-wait.ts'
import { fileEdit } from './file-edit.ts'
import { fileList } from './file-list.ts'
import { fileRead } from './file-read.ts'
import { fileSearch } from './file-search.ts'
import { fileWrite } from './file-write.ts'
import { fleetCollect, fleetCreate, fleetRun } from './fleet.ts'
import { imageSave } from './image-save.ts'
import { jobCancel, jobList, jobOutput } from './jobs.ts'
import { portPublish, portUnpublish } from './ports.ts'
import { sessionBranch, sessionResult } from './session-result.ts'
import { sessionStart } from './session-start.ts'
import { sessionAnswer, sessionList, sessionOutput, sessionStop } from './sessions.ts'
import { boxFork, boxRestore, boxSnapshot, snapshotDelete } from './snapshots.ts'
import { fileDownload, fileUpload } from './transfer.ts'

/** Every tool, in the order in which a model is told of them. */
export const tools: readonly Tool[] = [
  boxChoose,
  boxCreate,
  boxList,
  boxShow,
  boxWait,
  boxRun,
  jobOutput,
  jobCancel,
  jobList,
  fileRead,
  fileWrite,
  fileEdit,
  fileList,
  fileSearch,
  fileUpload,
  fileDownload,
  portPublish,
  portUnpublish,
  boxExtend,
  boxPause,
  boxResume,
  boxSnapshot,
  boxRestore,
  boxFork,
  snapshotDelete,
  imageSave,
  boxMove,
  fleetCreate,
  fleetRun,
  fleetCollect,
  sessionStart,
  sessionList,
  sessionOutput,
  sessionAnswer,
  sessionStop,
  sessionResult,
  sessionBranch,
  boxDestroy,
]
