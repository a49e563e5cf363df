import { type Command, Option } from 'commander'
import type { Cli } from '../context.ts'
import { imageVerbs } from '../image-verbs.ts'
import { collect } from '../options/parse.ts'
import { action, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  const sub = (name: string, summary: string): Command =>
    withCommonOptions(command.command(name).description(summary).exitOverride())
  sub('list', 'List images.')
    .alias('ls')
    .option('-q, --quiet', 'only the names')
    .option('--provider <provider>', 'local or hetzner (default: both, and local with --json or -q)')
    .action(action(cli, imageVerbs.list))
  sub('build', 'Build an image from a recipe of Gibil, or from a Dockerfile.')
    .argument('[what]', 'a recipe such as base, or a directory with a Dockerfile', '.')
    .option('--name <name>', 'name of the image (default: that of the recipe or directory)')
    .option('--recipe <recipe>', 'a recipe, also when a directory has its name')
    .option('-f, --dockerfile <file>', 'path in the context (default Dockerfile)')
    .option('--build-arg <KEY=value>', 'build argument; repeat it for more', collect)
    .option('--no-cache', 'do every step anew')
    .action(action(cli, imageVerbs.build))
  sub('pull', 'Pull an image from a registry.')
    .argument('<reference>', 'such as alpine:3.20 or ghcr.io/you/image@sha256:…')
    .option('--name <name>', 'name here (default: the reference)')
    .option('--plain-http', 'the registry has no TLS')
    .option('--username <name>', 'for the registry')
    .option('--password-stdin', 'read the password from stdin')
    .action(action(cli, imageVerbs.pull))
  sub('bake', 'Make an image at a cloud, so that boxes there install nothing.')
    .argument(
      '<image>',
      'the name by which boxes ask for it; a recipe of Gibil such as vm, unless --cloud-init is given',
    )
    .addOption(new Option('--provider <provider>', 'where').choices(['hetzner']).default('hetzner'))
    .option('--cloud-init <file>', 'what sets it up: a #cloud-config or a script, 32 KiB at most; no place for secrets')
    .option('--size <size>', 'of the machine that it is made on (default small); it fits no smaller disk')
    .option('--server-type <name>', 'the same by name, such as cx23')
    .option('--location <name>', 'such as fsn1 (default: any)')
    .option('--arch <arch>', 'x86 or arm (default x86)')
    .option('--max-hourly <amount>', 'take no machine for it that costs more per hour')
    .action(action(cli, imageVerbs.bake))
  sub('import', 'Make an image of a tarball of a root filesystem.')
    .argument('<file>', 'a tar file, or - for stdin')
    .requiredOption('--name <name>', 'name of the image')
    .action(action(cli, imageVerbs.import))
  sub('save', 'Make an image of the files of a box, for boxes of every shape.')
    .argument('<box>', 'name or id of a box that runs; it stands still meanwhile, and goes on')
    .argument('[name]', 'of the image (default: that of the box)')
    .action(action(cli, imageVerbs.save))
  sub('rm', 'Remove images.')
    .alias('remove')
    .argument('<name...>', 'names')
    .option('--provider <provider>', 'hetzner: what was baked there (default local)')
    .action(action(cli, imageVerbs.remove))
  sub('prune', 'Remove layers and leftovers that no image uses.').action(action(cli, imageVerbs.prune))
}
