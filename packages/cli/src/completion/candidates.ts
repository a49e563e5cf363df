import { Gibil, refOf } from '@gibil/sdk'
import type { Argument, Command, Option } from 'commander'
import { clean } from '../output/text.ts'
import { createProgram, findVerb } from '../program.ts'
import type { Session } from '../session.ts'
import type { Verb } from '../verb.ts'

export interface Candidate {
  readonly value: string
  readonly summary?: string
}

/** A shell that waits for a daemon is worse than one that completes nothing. */
const daemonDeadlineMs = 700

/** Values that an option or argument takes, by its placeholder. */
const fixed: Readonly<Record<string, readonly string[]>> = {
  provider: ['local', 'hetzner'],
  arch: ['x86', 'arm'],
  setting: ['budget.daily', 'budget.box'],
  size: ['small', 'medium', 'large'],
  shape: ['auto', 'container', 'microvm', 'vm', 'managed'],
  barrier: ['shared-kernel', 'own-kernel', 'other-machine'],
  where: ['here', 'own-cloud'],
  services: ['command', 'image', 'unit'],
  agent: ['claude', 'codex', 'gemini', 'opencode', 'any'],
  policy: ['internet', 'lan', 'none'],
  action: ['destroy', 'stop', 'pause'],
  end: ['keep', 'pause', 'destroy'],
  remedy: ['restart', 'stop', 'destroy'],
  state: ['created', 'running', 'ready'],
  signal: ['TERM', 'INT', 'HUP', 'KILL', 'QUIT', 'USR1', 'USR2', 'STOP', 'CONT'],
}

/** What may stand where the last word is being typed. An empty answer leaves the word to the shell, which knows files. */
export async function candidates(
  words: readonly string[],
  session: Session,
  verbs: readonly Verb[],
): Promise<Candidate[]> {
  const typed = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  if (before.includes('--')) return []
  const at = before.findIndex((word, index) => !word.startsWith('-') && before[index - 1] !== '--home')
  if (at === -1) return before.at(-1) === '--home' ? [] : matching(typed, verbCandidates(typed, verbs))
  const verb = findVerb(verbs, before[at] ?? '')
  if (!verb) return []
  const program = await createProgram(verbs, verb, session)
  let command = program.commands.find((known) => known.name() === verb.name)
  let rest = before.slice(at + 1)
  if (!command) return []
  if (command.commands.length > 0) {
    const inner = command.commands.find((known) => known.name() === rest[0] || known.aliases().includes(rest[0] ?? ''))
    if (!inner) {
      const below = command.commands.map((known) => ({ value: known.name(), summary: known.description() }))
      const own = await ofCommand(command, rest, typed, homeOf(before), session)
      return matching(typed, rest.length === 0 && !typed.startsWith('-') ? [...below, ...own] : own)
    }
    command = inner
    rest = rest.slice(1)
  }
  return matching(typed, await ofCommand(command, rest, typed, homeOf(before), session))
}

const matching = (typed: string, found: readonly Candidate[]): Candidate[] =>
  found.filter(({ value }) => value.startsWith(typed))

const verbCandidates = (typed: string, verbs: readonly Verb[]): Candidate[] =>
  typed.startsWith('-')
    ? [{ value: '--help' }, { value: '--version' }, { value: '--home' }]
    : verbs.filter((verb) => !verb.hidden).map(({ name, summary }) => ({ value: name, summary }))

function homeOf(words: readonly string[]): string | undefined {
  const at = words.lastIndexOf('--home')
  return at === -1 ? words.find((word) => word.startsWith('--home='))?.slice('--home='.length) : words[at + 1]
}

async function ofCommand(
  command: Command,
  rest: readonly string[],
  typed: string,
  home: string | undefined,
  session: Session,
): Promise<Candidate[]> {
  const previous = optionNamed(command, rest.at(-1))
  if (previous && takesValue(previous)) return values(placeholder(previous.flags), previous.long ?? '', home, session)
  if (typed.startsWith('-')) {
    return command.options.map((option) => ({
      value: option.long ?? option.flags,
      summary: option.description,
    }))
  }
  const argument = argumentAt(command, operandsOf(command, rest).length)
  if (!argument) return []
  if (argument.name() === 'port') return portsOf(operandsOf(command, rest)[0], command.name(), home, session)
  return values(argument.name(), command.name(), home, session)
}

const optionNamed = (command: Command, word: string | undefined): Option | undefined =>
  command.options.find((option) => word !== undefined && (option.long === word || option.short === word))

const takesValue = (option: Option): boolean => option.required || option.optional
const placeholder = (flags: string): string => /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? ''

const operandsOf = (command: Command, words: readonly string[]): string[] =>
  words.filter((word, index) => {
    const previous = optionNamed(command, words[index - 1])
    return !word.startsWith('-') && !(previous && takesValue(previous))
  })

function argumentAt(command: Command, index: number): Argument | undefined {
  const known = command.registeredArguments
  const last = known.at(-1)
  return known[index] ?? (last?.variadic ? last : undefined)
}

async function values(name: string, owner: string, home: string | undefined, session: Session): Promise<Candidate[]> {
  const listed = fixed[name]
  if (listed) return listed.map((value) => ({ value }))
  if (name === 'shell') return ['bash', 'zsh', 'fish'].map((value) => ({ value }))
  const ask = asks[name === 'name' && owner === 'rm' ? 'image' : owner === 'cp' ? 'place' : name]
  if (!ask) return []
  await using gibil = Gibil.connect({ home, env: session.env })
  return ask(gibil, AbortSignal.timeout(daemonDeadlineMs)).catch(() => [])
}

/** Ports that listen can be published, and those that are published taken back. */
async function portsOf(
  box: string | undefined,
  verb: string,
  home: string | undefined,
  session: Session,
): Promise<Candidate[]> {
  if (box === undefined) return []
  await using gibil = Gibil.connect({ home, env: session.env })
  const handle = gibil.box(box)
  const signal = AbortSignal.timeout(daemonDeadlineMs)
  const published = await handle.published({ signal }).catch(() => [])
  if (verb === 'unpublish') {
    return published.map(({ port, public: open }) => ({ value: String(port), summary: open ? 'public' : 'private' }))
  }
  const open = await handle.ports({ signal }).catch(() => [])
  return open.map(({ port, process }) => ({ value: String(port), summary: clean(process ?? '') }))
}

const boxes = async (gibil: Gibil, signal: AbortSignal): Promise<Candidate[]> =>
  (await gibil.list({ signal })).map((box) => ({
    value: clean(refOf(box)),
    summary: `${box.status} ${clean(box.image)}`,
  }))

const snapshots = async (gibil: Gibil, signal: AbortSignal): Promise<Candidate[]> =>
  (await gibil.snapshots.list({ signal })).map((snapshot) => ({
    value: clean(refOf(snapshot)),
    summary: `${snapshot.kind} of ${clean(snapshot.boxName)}`,
  }))

const asks: Readonly<Record<string, (gibil: Gibil, signal: AbortSignal) => Promise<Candidate[]>>> = {
  box: boxes,
  snapshot: snapshots,
  session: async (gibil, signal) =>
    (await gibil.sessions.list({ signal })).map(({ id, state, box, task }) => ({
      value: id,
      summary: clean(`${state} in ${box.name}: ${task.slice(0, 40)}`),
    })),
  source: async (gibil, signal) => [...(await boxes(gibil, signal)), ...(await snapshots(gibil, signal))],
  place: async (gibil, signal) => (await boxes(gibil, signal)).map(({ value }) => ({ value: `${value}:` })),
  image: async (gibil, signal) =>
    (await gibil.images.list({ signal })).map((image) => ({ value: clean(image.name), summary: clean(image.source) })),
  adoptable: async (gibil, signal) =>
    (await gibil.adoption.list({ signal })).map(({ id, name, host, home }) => ({
      value: id,
      summary: `${clean(name)} of ${clean(host ?? home)}`,
    })),
  token: async (gibil, signal) => (await gibil.tokens.list({ signal })).map(({ name }) => ({ value: clean(name) })),
}
