import type { Build, Template } from './template.ts'

const envdVersion = '0.6.4'

const namesOf = ({ name }: Template): string[] => [name]

/** The answer to a build that is asked for. */
export const requested = (template: Template, build: Build) => ({
  templateID: template.id,
  buildID: build.id,
  public: false,
  names: namesOf(template),
  tags: build.wantedTags,
  aliases: namesOf(template),
})

const shared = (template: Template) => ({
  templateID: template.id,
  public: false,
  names: namesOf(template),
  aliases: namesOf(template),
  createdAt: template.createdAt,
  updatedAt: template.updatedAt,
  // Not counted here.
  lastSpawnedAt: null,
  spawnCount: 0,
})

/** One of a list: with its newest build. */
export function listedTemplate(template: Template) {
  const build = template.builds.at(-1)
  return {
    ...shared(template),
    buildID: build?.id ?? '',
    buildStatus: build?.status ?? 'waiting',
    buildCount: template.builds.length,
    cpuCount: build?.cpuCount ?? 0,
    memoryMB: build?.memoryMB ?? 0,
    diskSizeMB: 0,
    createdBy: null,
    envdVersion,
  }
}

/** With its builds, newest first. */
export const detailedTemplate = (template: Template) => ({
  ...shared(template),
  builds: template.builds.toReversed().map((build) => ({
    buildID: build.id,
    status: build.status,
    cpuCount: build.cpuCount,
    memoryMB: build.memoryMB,
    envdVersion,
    createdAt: build.createdAt,
    updatedAt: build.finishedAt ?? build.createdAt,
    ...(build.finishedAt === null ? {} : { finishedAt: build.finishedAt }),
  })),
})

export const tagsOf = ({ tags }: Template) => Object.entries(tags).map(([tag, meant]) => ({ tag, ...meant }))
