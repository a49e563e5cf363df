import * as z from 'zod'

/** How a build is, in the words of the wire. `waiting`: its steps have not come yet. */
const BuildStatus = z.enum(['waiting', 'building', 'ready', 'error'])

/** Why a build failed; `step` is `base`, the number of a step from 1, or `finalize`. */
const Reason = z.object({ message: z.string(), step: z.string() })
export type Reason = z.infer<typeof Reason>

const Build = z.object({
  id: z.string(),
  status: BuildStatus,
  reason: Reason.nullable(),
  createdAt: z.iso.datetime(),
  finishedAt: z.iso.datetime().nullable(),
  cpuCount: z.number(),
  memoryMB: z.int(),
  /** It gets these when it is ready. */
  wantedTags: z.array(z.string()),
  /** The image that it made; null: none, or not any more. */
  image: z.string().nullable(),
  user: z.string(),
  workdir: z.string().nullable(),
  startCmd: z.string().nullable(),
  readyCmd: z.string().nullable(),
  /** A snapshot in which the start command runs and is ready, of which boxes begin where their memory is kept; null: it is run in each. */
  snapshot: z.string().nullable(),
})
export type Build = z.infer<typeof Build>

/** A template of one key, as it is kept. */
export const Template = z.object({
  version: z.literal(1),
  id: z.string(),
  /** The key that made it, which alone sees it. */
  owner: z.string(),
  name: z.string(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  /** By tag: the build that is meant, and since when. */
  tags: z.record(z.string(), z.object({ buildID: z.string(), createdAt: z.iso.datetime() })),
  /** Oldest first. */
  builds: z.array(Build),
})
export type Template = z.infer<typeof Template>

export const buildOf = ({ builds }: Template, id: string): Build | undefined => builds.find((build) => build.id === id)

/** The build that a tag means; undefined: it means none that boxes can be made of. */
export function taggedBuild(template: Template, tag: string): Build | undefined {
  const build = buildOf(template, template.tags[tag]?.buildID ?? '')
  return build?.status === 'ready' && build.image !== null ? build : undefined
}

export const changeBuild = (template: Template, id: string, change: Partial<Build>): Template => ({
  ...template,
  builds: template.builds.map((build) => (build.id === id ? { ...build, ...change } : build)),
})

export const withTags = (template: Template, tags: readonly string[], buildID: string, now: string): Template => ({
  ...template,
  updatedAt: now,
  tags: { ...template.tags, ...Object.fromEntries(tags.map((tag) => [tag, { buildID, createdAt: now }])) },
})

/** Builds that are over and that no tag means are kept to be asked about, so many of them. */
const mostPast = 20

/** What is not needed any more. */
export interface Gone {
  /** Whose images and snapshots nobody can ask for now. */
  readonly made: readonly Build[]
  /** That are not to be asked about any more either. */
  readonly builds: readonly string[]
}

/** Splits off what is not needed any more: what builds made that no tag leads to, and the oldest of past builds. */
export function trimmed(template: Template): Gone & { template: Template } {
  const tagged = new Set(Object.values(template.tags).map(({ buildID }) => buildID))
  const isPast = ({ id, status }: Build): boolean => !tagged.has(id) && (status === 'ready' || status === 'error')
  const past = template.builds.filter(isPast)
  const gone = new Set(past.slice(0, Math.max(0, past.length - mostPast)).map(({ id }) => id))
  const builds = template.builds
    .filter(({ id }) => !gone.has(id))
    .map((build) => (isPast(build) ? { ...build, image: null, snapshot: null } : build))
  const made = past.filter(({ image }) => image !== null)
  return { template: { ...template, builds }, made, builds: [...gone] }
}
