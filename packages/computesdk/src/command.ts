import type { CommandResult, RunCommandOptions } from '@computesdk/provider'
import type { BoxHandle, CommandOptions, Exit } from '@gibil/sdk'

/** Shell, status and words of timeout(1), which callers know. */
const timedOutStatus = 124
const signalled = 128 + 9

const optionsOf = ({ cwd, env, timeout }: RunCommandOptions): CommandOptions => ({
  label: 'computesdk',
  ...(cwd === undefined ? {} : { cwd }),
  ...(env === undefined ? {} : { env }),
  ...(timeout === undefined ? {} : { timeoutMs: timeout }),
})
const statusOf = ({ exitCode, timedOut }: Exit): number => (timedOut ? timedOutStatus : (exitCode ?? signalled))
const shell = (command: string): readonly string[] => ['sh', '-c', command]

export async function runCommand(
  box: BoxHandle,
  command: string,
  options: RunCommandOptions = {},
): Promise<CommandResult> {
  const begin = performance.now()
  if (options.background) {
    await box.jobs.start(shell(command), optionsOf(options))
    return { stdout: '', stderr: '', exitCode: 0, durationMs: performance.now() - begin }
  }
  const result = await box.run(shell(command), optionsOf(options))
  const { stdout, stderr } = result
  return { stdout, stderr, exitCode: statusOf(result), durationMs: performance.now() - begin }
}

/** Output as it comes, by the same stream as everything else: no port of the box, and no program in it, is needed. */
export async function streamCommand(
  box: BoxHandle,
  command: string,
  options: RunCommandOptions,
): Promise<CommandResult> {
  const begin = performance.now()
  const stream = await box.stream(shell(command), optionsOf(options))
  const parts = { stdout: new TextDecoder(), stderr: new TextDecoder() }
  const whole = { stdout: '', stderr: '' }
  const take = (name: 'stdout' | 'stderr', text: string): void => {
    if (text === '') return
    whole[name] += text
    if (name === 'stdout') options.onStdout?.(text)
    else options.onStderr?.(text)
  }
  for await (const { stream: name, data } of stream) take(name, parts[name].decode(data, { stream: true }))
  for (const name of ['stdout', 'stderr'] as const) take(name, parts[name].decode())
  return { ...whole, exitCode: statusOf(await stream.exit), durationMs: performance.now() - begin }
}
