import type { Command } from 'commander'
import { attach } from '../agent-sessions/attach.ts'
import { logs } from '../agent-sessions/logs.ts'
import { result } from '../agent-sessions/result.ts'
import { list, remove, show, stop } from '../agent-sessions/show.ts'
import { start } from '../agent-sessions/start.ts'
import type { Cli } from '../context.ts'
import { collect } from '../options/parse.ts'
import { action, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  const sub = (name: string, summary: string): Command =>
    withCommonOptions(command.command(name).description(summary).exitOverride())
  const of = (name: string, summary: string): Command =>
    sub(name, summary).argument('<session>', 'id, or the name of its box: its newest session')

  sub('start', 'Make a box, start an agent at a task in it, and bring its work back as a branch.')
    .argument('[task]', 'what it is to do')
    .option(
      '--agent <agent>',
      'claude, codex, gemini, opencode, or a line for bash ({task}: the task; else its last word)',
    )
    .option('--repo <repo>', 'https, ssh or short address, or a directory here with its uncommitted work (--repo .)')
    .option('--branch <branch>', 'branch or tag to check out')
    .option('--repo-token <token>', 'for a private repository (GIBIL_REPO_TOKEN); "auto": what your git would use')
    .option('--box <box>', 'a box that is there, instead of a new one')
    .option('--name <name>', 'of the new box')
    .option('--image <image>', 'image to make it of (default base; vm of a vm)')
    .option('--shape <shape>', 'auto, container, microvm, vm or managed (default auto)')
    .option('--size <size>', 'small 2 cpu/4 GiB, medium 4/8, large 8/16')
    .option('--cpu <n>', 'cpus, such as 2 or 0.5')
    .option('--memory <amount>', 'such as 512M or 4G')
    .option('--disk <amount>', 'such as 10G')
    .option('--network <policy>', 'internet, lan or none (default internet)')
    .option('--provider <provider>', 'local: this machine, or hetzner (default local)')
    .option('--ttl <time>', 'time to live of the box (default: the timeout and 30m)')
    .option(
      '--env <KEY=value>',
      'for the agent alone and kept nowhere; KEY: its value here; repeat it for more',
      collect,
    )
    .option('--env-file <file>', 'the same, from a file', collect)
    .option('--timeout <time>', 'end the agent after this time (default 2h; none: never)')
    .option('--on-end <end>', 'keep, pause or destroy the box (default pause)')
    .option('-d, --detach', 'print the id and leave it running')
    .option('--result-branch <name>', 'bring its work back as this branch (default gibil/<box>)')
    .option('--patch <file>', 'bring its work back as a patch instead; - for stdout')
    .option(
      '--from <file>',
      'many sessions: a task a line, or a line of JSON or an entry of YAML {task, repo, agent, …}',
    )
    .option('--concurrency <n>', 'with --from: so many at once (default 3)')
    .addHelpText(
      'after',
      '\nKnown agents get the variables of their credentials that are set here, such as ANTHROPIC_API_KEY. On a terminal you are connected with the\nagent: Ctrl-] leaves it running. Elsewhere its output is printed, and Ctrl-C leaves it running.\n\nExamples:\n  gibil session start --repo . --agent claude "make the tests pass"\n  gibil session start --repo . --agent codex --from tasks.txt --on-end destroy\n\nExit status: that of the agent; 128 + n when signal n ended it.',
    )
    .action(action(cli, start))
  of('attach', 'Connect this terminal with the agent, to watch and to answer. Ctrl-] leaves it running.')
    .option('--stdin', 'without a terminal: pass input on')
    .action(action(cli, attach))
  of('logs', 'What the agent printed, also when its box is gone.')
    .option('-f, --follow', 'go on until it has ended')
    .option('--cast <file>', 'write the recording as asciicast, for asciinema; - for stdout')
    .action(action(cli, logs))
  sub('list', 'List sessions: what runs, how long it is quiet, how it ended.')
    .alias('ls')
    .option('-r, --running', 'only those that have not ended')
    .option('-q, --quiet', 'only the ids')
    .action(action(cli, list))
  of('show', 'Show a session with its last lines.').action(action(cli, show))
  of('stop', 'End the agent; its work is kept.').action(action(cli, stop))
  of('result', 'Bring the work of a session that has ended into a repository here.')
    .argument('[dir]', 'the repository', '.')
    .option('--branch <name>', 'of the new branch (default gibil/<box>)')
    .option('--patch <file>', 'write it as a patch instead; - for stdout')
    .action(action(cli, result))
  sub('remove', 'Forget sessions that have ended, with what they printed and changed.')
    .alias('rm')
    .argument('<session...>', 'ids')
    .action(action(cli, remove))
}
