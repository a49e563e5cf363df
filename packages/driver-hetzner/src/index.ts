/** @module The driver of the shape `vm` on Hetzner Cloud. */
export type { Link, LinkTarget, OpenLink } from './context.ts'
export { createHetznerDriver, type HetznerDriver, type HetznerDriverOptions } from './driver.ts'
export { type Step, type StepName, steps } from './steps.ts'
export { findToken, requireToken } from './token.ts'
