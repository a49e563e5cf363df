/** @module The command line of Gibil. It is run by the launcher at the root of the checkout, through `main.ts`. */
export { runCli } from './cli.ts'
export type { Cli } from './context.ts'
