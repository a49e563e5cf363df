/** @module The drivers of the shapes `microvm` and `vm` on this machine: boxes with a kernel of their own, on QEMU. */
export { checkMicrovmHost } from './check.ts'
export { createMicrovmDriver, createVmDriver, type MachineDriverOptions } from './driver.ts'
