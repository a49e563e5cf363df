/** @module The driver of the shape `vm` on Hetzner Cloud. */
export { forgetHomeId } from './box-files.ts'
export { checkToken } from './check-token.ts'
export type { Link, LinkTarget, OpenLink } from './context.ts'
export { createHetznerDriver, type HetznerDriver, type HetznerDriverOptions } from './driver.ts'
export { type Step, type StepName, steps } from './steps.ts'
export { hetznerEndpoint, requireToken } from './token.ts'
export { forgetToken, keepToken } from './token-file.ts'
