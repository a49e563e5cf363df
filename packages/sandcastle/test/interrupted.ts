/** A program that uses the provider and is interrupted in the middle of a run: its arguments are the home and the repository. */
import { run } from '@ai-hero/sandcastle'
import { gibil } from '../src/index.ts'

const [home = '', cwd = ''] = process.argv.slice(2)
await run({
  agent: {
    name: 'sleeper',
    env: {},
    captureSessions: false,
    buildPrintCommand: () => ({ command: 'echo begun; exec sleep 1000' }),
    parseStreamLine: (line) => {
      process.stdout.write(`${line}\n`)
      return [{ type: 'text', text: line }]
    },
  },
  sandbox: gibil({ connect: { home } }),
  cwd,
  prompt: 'go',
  maxIterations: 1,
  logging: { type: 'file', path: `${cwd}/.sandcastle/interrupted.log` },
})
