/** @module The images of this machine: built, pulled or imported once, used by every shape. */
export { openBoxFile } from './box-file/read.ts'
export { writeBoxFile } from './box-file/write.ts'
export type { BuildNetwork, BuildNetworks, BuildRunner, BuildStep } from './build-runner.ts'
export type { OperationOptions } from './progress.ts'
export { createRuncRunner } from './runc-runner.ts'
export { type ImageStore, type ImageStoreOptions, openImageStore } from './store.ts'
