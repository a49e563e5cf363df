/** @module The driver of the shape `microvm` on this machine: boxes with a kernel of their own, on QEMU. */
export { checkMicrovmHost } from './check.ts'
export { createMicrovmDriver, type MicrovmDriverOptions } from './driver.ts'
