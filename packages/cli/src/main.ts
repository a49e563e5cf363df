import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

// Before the first import of our own: what was compiled once is loaded from the cache from then on. Not in the temporary
// directory, where Node would put it: others could write there what root then runs.
enableCompileCache(join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'gibil', 'node'))
const { runCli } = await import('./cli.ts')
const { processCli } = await import('./process-cli.ts')
process.exitCode = await processCli(runCli)
