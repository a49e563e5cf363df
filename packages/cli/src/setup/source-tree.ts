import { join, resolve } from 'node:path'

/** The root of the checkout that this CLI runs from. */
export const sourceRoot = resolve(import.meta.dirname, '../../../..')

/** Where the Go programs are built to; git ignores it. */
export const binaryDir = join(sourceRoot, 'dist')

export const daemonEntry = join(sourceRoot, 'packages/daemon/src/main.ts')

/** Ends boxes of a cloud whose lease is over, without a daemon. */
export const cloudSweepEntry = join(sourceRoot, 'packages/daemon/src/sweep-main.ts')

/** Checks a token of a cloud and keeps it in a home. */
export const cloudTokenEntry = join(sourceRoot, 'packages/daemon/src/token-main.ts')

export const hetznerSimEntry = join(sourceRoot, 'packages/hetzner-sim/src/main.ts')
/** What a program that starts the CLI runs with Node. */
export const cliEntry = join(sourceRoot, 'packages/cli/src/main.ts')
