/**
 * Lets a test kill the daemon at a named step, as a crash would: with SIGKILL, so that nothing is cleaned up. The parts that
 * change the host call `step` before and after each change.
 */
export function createFailpoint(name: string | undefined): (step: string) => void {
  if (name === undefined || name === '') return () => undefined
  return (step) => {
    if (step === name) process.kill(process.pid, 'SIGKILL')
  }
}
