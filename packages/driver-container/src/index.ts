/** @module The driver of the shape `container` on this machine: boxes on an OCI runtime. */
export type { BuildNetworks } from './build-network.ts'
export { checkHost } from './check.ts'
export { type ContainerDriver, type ContainerDriverOptions, createContainerDriver } from './driver.ts'
export { type Step, type StepName, steps } from './steps.ts'
