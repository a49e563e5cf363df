import { FileInfo, FileKind } from '@gibil/contract'
import * as z from 'zod'

/** A file with what boxd tells of it only when asked. */
export const FileDetails = FileInfo.extend({
  /** What a symbolic link leads to in the end; absent when that is not there. */
  resolved: z.object({ path: z.string(), kind: FileKind, mode: z.int() }).optional(),
  /** Extended attributes, without the prefix that was asked for. */
  attributes: z.record(z.string(), z.string()).optional(),
})
export type FileDetails = z.infer<typeof FileDetails>
