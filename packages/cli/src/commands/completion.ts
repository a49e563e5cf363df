import type { Command } from 'commander'
import { scripts } from '../completion/scripts.ts'
import type { Cli } from '../context.ts'
import { oneOf } from '../options/parse.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText(
      'after',
      '\nInstall:\n  bash: gibil completion bash > ~/.local/share/bash-completion/completions/gibil\n  zsh:  gibil completion zsh > $fpath[1]/_gibil\n  fish: gibil completion fish > ~/.config/fish/completions/gibil.fish',
    )
    .action(action(cli, completion))
}

async function completion(session: Session, shell: string): Promise<void> {
  const script = scripts[oneOf(shell, ['bash', 'zsh', 'fish'], 'a shell that can be completed')]
  session.emit({ shell, script }, script)
}
