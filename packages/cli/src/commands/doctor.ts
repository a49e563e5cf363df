import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import type { Check } from '../doctor/check.ts'
import { checkDaemon } from '../doctor/daemon.ts'
import { checkDiskSpace, checkRoot, checkTools } from '../doctor/host.ts'
import { checkCgroups, checkKernel, checkUserNamespaces } from '../doctor/kernel.ts'
import { checkKvm } from '../doctor/kvm.ts'
import { checkPorts } from '../doctor/ports.ts'
import { checkHostkit } from '../doctor/selftest.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).action(action(cli, doctor))
}

/** Ends with 1 when something fails that boxes cannot do without. */
async function doctor(session: Session): Promise<number> {
  const checks: Check[] = []
  for (const look of [
    async () => [checkRoot(), checkKernel()],
    async () => [await checkCgroups(), await checkUserNamespaces()],
    checkTools,
    async () => [await checkDiskSpace(session.home), await checkPorts()],
    checkHostkit,
    async () => [await checkKvm()],
    () => checkDaemon(session),
  ]) {
    const found = await look()
    checks.push(...found)
    for (const check of found) session.note(line(session, check))
  }
  const failed = checks.filter((check) => check.state === 'fail').length
  session.emit({ ok: failed === 0, checks }, '')
  session.note(failed === 0 ? '\nAll that boxes need is there.\n' : `\n${failed} of ${checks.length} checks failed.\n`)
  return failed === 0 ? 0 : 1
}

const nameWidth = 22

function line({ colors }: Session, check: Check): string {
  const marks = { ok: colors.green('✓'), warn: colors.yellow('!'), fail: colors.red('✗'), skip: colors.dim('-') }
  const first = `  ${marks[check.state]} ${check.name.padEnd(nameWidth)} ${check.detail}\n`
  return check.mend === undefined
    ? first
    : `${first}    ${' '.repeat(nameWidth)} ${colors.dim('mend:')} ${check.mend}\n`
}
