import { GibilError, knownAgent, type StartOptions } from '@gibil/sdk'
import { readDefaults } from '../config/config.ts'
import { type CreateFlags, createOptions } from '../options/create.ts'
import { duration, environment, environmentFile, oneOf } from '../options/parse.ts'
import type { Session } from '../session.ts'

export interface StartFlags extends CreateFlags {
  readonly agent?: string
  readonly box?: string
  readonly timeout?: string
  readonly onEnd?: string
  readonly detach?: boolean
  readonly resultBranch?: string
  readonly patch?: string
  readonly from?: string
  readonly concurrency?: string
}

const ends = ['keep', 'pause', 'destroy'] as const

/** What `start` of the SDK takes. Credentials of a known agent are those of this environment. */
export async function startOptions(session: Session, task: string, flags: StartFlags): Promise<StartOptions> {
  const { agent, timeout, onEnd, envFile = [], env = [], ...create } = flags
  if (agent === undefined) {
    throw new GibilError('invalid_request', 'Which agent?', {
      hint: 'Give --agent claude, codex, gemini, opencode, or a line for bash such as --agent "aider --yes -m".',
    })
  }
  const fromFiles = await Promise.all(envFile.map((file) => environmentFile(file, session.cwd)))
  const given = (knownAgent(agent)?.env ?? []).filter((name) => session.env[name] !== undefined)
  return {
    box: flags.box ?? (await createOptions(create, { ...(await readDefaults(session)), ttl: undefined }, session)),
    agent,
    task,
    env: Object.assign(environment(given, session.env), ...fromFiles, environment(env, session.env)),
    ...(timeout === undefined ? {} : { timeout: duration(timeout, { none: true }) }),
    ...(onEnd === undefined ? {} : { onEnd: oneOf(onEnd, ends, 'an end') }),
  }
}

export const resultFlags = ({ resultBranch, patch }: StartFlags): { branch?: string; patch?: string } => ({
  ...(resultBranch === undefined ? {} : { branch: resultBranch }),
  ...(patch === undefined ? {} : { patch }),
})

/** Where work comes back to: the directory that it came from, else the current one. */
export const repositoryOf = ({ repo }: Pick<StartFlags, 'repo'>): string => (repo && /^[./~]/.test(repo) ? repo : '.')
