import { enableCompileCache } from 'node:module'

// Before the first import of our own: what was compiled once is loaded from the cache from then on.
enableCompileCache()
const { runCli } = await import('./cli.ts')
const { processCli } = await import('./process-cli.ts')
process.exitCode = await processCli(runCli)
