import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { parseJson } from './files.ts'
import { emptyConfig, type ImageConfig } from './manifest.ts'

/** The parts of the OCI image format that we read (opencontainers/image-spec 1.1); Docker's own are compatible in these. */
const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)
const Descriptor = z.object({ mediaType: z.string(), digest: Digest, size: z.int().min(0) })
const OciIndex = z.object({ manifests: z.array(Descriptor).min(1) })
const OciManifest = z.object({ config: Descriptor, layers: z.array(Descriptor).min(1).max(1000) })
const OciConfig = z.object({
  architecture: z.string(),
  os: z.string(),
  config: z
    .object({
      User: z.string().nullish(),
      ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
      Env: z.array(z.string()).nullish(),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
      Volumes: z.record(z.string(), z.unknown()).nullish(),
      WorkingDir: z.string().nullish(),
      Labels: z.record(z.string(), z.string()).nullish(),
      Shell: z.array(z.string()).nullish(),
    })
    .nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(Digest) }),
})

export interface OciLayer {
  /** Of the blob, which may be compressed. */
  readonly digest: string
  readonly path: string
  /** Of the tar archive in it. */
  readonly diffId: string
  readonly size: number
}

export interface OciImage {
  readonly architecture: string
  readonly os: string
  /** Lowest first. */
  readonly layers: readonly OciLayer[]
  readonly config: ImageConfig
}

const maxJson = 4 * 1024 * 1024

const blobPath = (layout: string, digest: string): string =>
  join(layout, 'blobs/sha256', digest.slice('sha256:'.length))

const readBlob = async (layout: string, digest: string): Promise<unknown> => {
  const path = blobPath(layout, digest)
  if ((await stat(path)).size > maxJson) throw new Error(`The blob ${digest} is larger than a description may be.`)
  const text = await readFile(path)
  if (`sha256:${createHash('sha256').update(text).digest('hex')}` !== digest)
    throw new Error(`The blob ${digest} is damaged.`)
  return parseJson(text.toString('utf8'))
}

/** `KEY=value` lines as a record; the last of two with one name counts. */
const environment = (lines: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    lines
      .filter((line) => line.indexOf('=') > 0)
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )

const nonEmpty = <T extends { readonly length: number }>(value: T | null | undefined): T | null =>
  value && value.length > 0 ? value : null

/** Reads an OCI layout with one image. Throws a plain Error that says what is wrong; layers are not looked at. */
export const readOciLayout = async (layout: string): Promise<OciImage> => {
  const index = OciIndex.parse(parseJson(await readFile(join(layout, 'index.json'), 'utf8')))
  const manifest = OciManifest.parse(await readBlob(layout, index.manifests[0]?.digest ?? ''))
  const { architecture, os, config, rootfs } = OciConfig.parse(await readBlob(layout, manifest.config.digest))
  if (rootfs.diff_ids.length !== manifest.layers.length)
    throw new Error('The image names more layers than it has, or fewer.')
  const layers = manifest.layers.map((layer, at) => ({
    digest: layer.digest,
    path: blobPath(layout, layer.digest),
    diffId: rootfs.diff_ids[at] ?? '',
    size: layer.size,
  }))
  return {
    architecture,
    os,
    layers,
    config: {
      ...emptyConfig,
      env: environment(config?.Env ?? []),
      workdir: nonEmpty(config?.WorkingDir),
      user: nonEmpty(config?.User),
      entrypoint: nonEmpty(config?.Entrypoint),
      cmd: nonEmpty(config?.Cmd),
      labels: config?.Labels ?? {},
      exposedPorts: Object.keys(config?.ExposedPorts ?? {}),
      volumes: Object.keys(config?.Volumes ?? {}),
      shell: nonEmpty(config?.Shell),
    },
  }
}
