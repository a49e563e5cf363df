import type { BoxManifest } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import { maxConfigBytes, parseGibilYml } from '../gibil-yml/parse.ts'
import { resolveImage } from '../plane/images.ts'
import type { BoxdPort } from '../ports/boxd.ts'
import { repoPath } from '../setup/clone.ts'
import type { BoxFacts, ExportOptions, TakeBox } from './box-file.ts'
import { dockerData } from './plan.ts'
import { type StillParts, whileStill } from './still.ts'

/** See `BoxPlane.exportBox`. */
export function exportBox<T>(parts: StillParts, ref: string, take: TakeBox<T>, options: ExportOptions): Promise<T> {
  const { signal: leaving, env = false } = options
  const { context } = parts
  return whileStill(parts, ref, { what: 'exported', signal: leaving }, async ({ record, boxd }) => {
    const image = await resolveImage(context.deps.images, record.provider, record.imageDigest)
    const tree = await boxd.surveyTree(dockerData)
    const facts: BoxFacts = {
      exportedAt: new Date(context.deps.clock.now()).toISOString(),
      ...placeOf(record),
      imageDefaults: { env: { ...image.env }, workdir: image.workdir, user: image.user },
      user: record.user,
      envNames: Object.keys(record.env).sort(),
      env: env ? { ...record.env } : null,
      labels: { ...record.labels },
      egress: { allow: record.egress?.allow ?? [], deny: record.egress?.deny ?? [] },
      published: record.published.map(({ port, public: open }) => ({ port, public: open })),
      repo: repoOf(record),
      config: record.config && (await configText(boxd)),
      hooked: record.hooked === true,
      lease: {
        ttlSeconds: record.ttlMs === null ? null : record.ttlMs / 1000,
        idleSeconds: record.idleMs === null ? null : record.idleMs / 1000,
        onExpire: record.onExpire,
        onIdle: record.onIdle ?? null,
        onFailure: record.onFailure ?? 'restart',
      },
      tree: { ...tree },
    }
    return take(facts, await boxd.readTree(dockerData))
  })
}

const placeOf = ({ name, shape, provider, image, size, isolation, network, cloud }: BoxRecord) => ({
  name,
  shape,
  provider,
  image,
  size,
  isolation,
  network,
  arch: cloud?.arch ?? null,
})

const repoOf = ({ repo }: BoxRecord): BoxManifest['repo'] => {
  if (!repo) return null
  const { source, branch, commit } = repo
  return { source, ...(branch === undefined ? {} : { branch }), ...(commit === undefined ? {} : { commit }) }
}

/** As it is in the box now; one that nobody can read any more is left out. */
async function configText(boxd: BoxdPort): Promise<string | null> {
  try {
    const bytes = await boxd.readFile(`${repoPath}/.gibil.yml`, maxConfigBytes)
    if (!bytes) return null
    const text = new TextDecoder().decode(bytes)
    parseGibilYml(text)
    return text
  } catch {
    return null
  }
}
