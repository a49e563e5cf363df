import { type CreateOptions, parseMib, parseRepo, type RepoOptions } from '@gibil/sdk'
import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { toolError } from '../results/error.ts'
import { adds, type Tool, tool, type Workplace } from '../tool.ts'
import { boxFields, waitSeconds } from './fields.ts'
import { localPath } from './local-path.ts'
import { untilReady } from './until-ready.ts'

export const boxCreate: Tool = tool({
  name: 'box_create',
  title: 'Create a box',
  description:
    'Makes a Linux box and waits until it is ready, or for waitSeconds: then call box_wait. A repository is cloned to ~/project and set up as its .gibil.yml says. The box ends by itself at the end of its ttl.',
  effect: adds,
  input: z.object({ ...boxFields, waitSeconds: waitSeconds(45, 300) }),
  output: z.object({
    box: BoxState,
    ready: z.boolean().describe('false: call box_wait'),
    workdir: z.string().describe('where commands run unless they say otherwise'),
    setupLog: z.string().describe('the end of what its set-up has printed; empty when there is nothing to set up'),
  }),
  async handle(input, call) {
    const { waitSeconds: seconds, ...fields } = input
    const made = await call.gibil.create({ ...(await createInput(fields, call)), wait: 'created' })
    const { box, ready, setupLog } = await untilReady(made, 'ready', seconds, call)
    const state = boxState(box)
    const workdir = box.repo?.path ?? '~'
    const next = ready ? `ready; commands run in ${workdir}` : `not ready yet: call box_wait with box "${state.name}"`
    return {
      data: { box: state, ready, workdir, setupLog },
      text: [`${state.name} is ${next}`, setupLog, boxLine(state)].filter(Boolean).join('\n'),
    }
  },
})

const CreateFields = z.object(boxFields)
type CreateFields = z.output<typeof CreateFields>

/** The arguments of a model as the SDK takes them. A path or keys of this machine serve only a caller who is on it. */
export async function createInput(
  { repo, branch, memory, disk, ...fields }: CreateFields,
  { local, defaults, repoToken }: Workplace,
): Promise<CreateOptions> {
  const sized = {
    ...fields,
    ...(memory === undefined ? {} : { memoryMib: parseMib(memory) }),
    ...(disk === undefined ? {} : { diskMib: parseMib(disk) }),
  }
  const given = Object.fromEntries(Object.entries(sized).filter(([, value]) => value !== undefined))
  const defaulted = defaults?.defaulted?.filter((field) => !(field in given))
  return {
    ...defaults,
    ...given,
    ...(defaulted ? { defaulted } : {}),
    ...(repo === undefined ? {} : { repo: await repoInput(repo, branch, local, repoToken) }),
  }
}

async function repoInput(
  source: string,
  branch: string | undefined,
  local: string | null,
  token: string | undefined,
): Promise<RepoOptions> {
  const { kind } = parseRepo(source)
  const withBranch = branch === undefined ? {} : { branch }
  if (kind === 'https') return { source, ...withBranch, token: /^http:/i.test(source) ? undefined : token }
  if (local === null) {
    throw toolError(
      'invalid_repo',
      `"${source}" is a path, or needs keys, of the machine of the daemon, which this server does not use for its callers.`,
      'Give an https address. For a private repository make the box without it and clone with box_run.',
    )
  }
  return { source: kind === 'local' ? await localPath(source, local) : source, ...withBranch, cwd: local }
}
