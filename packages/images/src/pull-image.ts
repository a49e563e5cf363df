import { createReadStream } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError, type PullImage } from '@gibil/contract'
import type * as z from 'zod'
import { decompress } from './decompress.ts'
import { verified } from './digest-stream.ts'
import type { ImageConfig, ImageManifest } from './manifest.ts'
import { type OciImage, type OciLayer, readOciLayout } from './oci.ts'
import type { Operation } from './operation.ts'
import { inPhase } from './progress.ts'
import { formatReference, parseReference, type Reference } from './reference.ts'
import { mustRun } from './tool.ts'
import { unpack } from './unpack.ts'

type PullInput = z.infer<typeof PullImage>

/** Go's names of Node's architectures. */
const goArch: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

const failed = (
  reference: string,
  reason: string,
  options: { cause?: unknown; hint?: string; log?: string } = {},
): GibilError =>
  new GibilError('image_pull_failed', `${reference} could not be pulled: ${reason}`, {
    cause: options.cause,
    hint: options.hint,
    details: options.log === undefined ? undefined : { log: options.log },
  })

/** The last message of skopeo's log lines, `time="…" level=fatal msg="…"`, without what it repeats of the command. */
const reasonIn = (tail: string): string => {
  const line = tail.trim().split('\n').at(-1) ?? ''
  const message = /msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]?.replace(/\\(.)/g, '$1') ?? line
  return message.slice(0, 500)
}

const hintFor = (reason: string): string | undefined => {
  if (/manifest unknown|name unknown|not found|repository does not exist/i.test(reason))
    return 'Check the name and the tag.'
  if (/unauthorized|authentication required|access .*denied|forbidden/i.test(reason))
    return 'Check the user name and the password.'
  if (/server gave HTTP response to HTTPS client/i.test(reason)) return 'The registry has no TLS: use --plain-http.'
  return undefined
}

/**
 * Pulls one image to an OCI layout by skopeo. Credentials go into a file of root's in the operation's folder; without any, none are
 * sent, whatever this host's own logins are.
 */
const copyFromRegistry = async (operation: Operation, input: PullInput, reference: Reference): Promise<string> => {
  const place = (name: string): string => join(operation.folder, name)
  const { username, password } = input
  const auth = Buffer.from(`${username ?? ''}:${password ?? ''}`).toString('base64')
  await writeFile(place('auth.json'), JSON.stringify({ auths: username ? { [reference.registry]: { auth } } : {} }), {
    mode: 0o600,
  })
  await mkdir(place('scratch'))
  const platform = ['--override-os', 'linux', '--override-arch', goArch[operation.arch] ?? operation.arch]
  const source = ['--src-authfile', place('auth.json'), ...(input.plainHttp ? ['--src-tls-verify=false'] : [])]
  try {
    await mustRun(
      [
        'skopeo',
        '--insecure-policy',
        ...platform,
        'copy',
        '--retry-times',
        '2',
        ...source,
        `docker://${formatReference(reference)}`,
        `oci:${place('oci')}:image`,
      ],
      {
        env: { ...operation.env, TMPDIR: place('scratch') },
        signal: operation.signal,
        onLine: (message) => operation.onProgress?.({ phase: 'download', message }),
      },
      (tail) => {
        const reason = reasonIn(tail)
        const hint = hintFor(reason)
        return failed(input.reference, reason, { log: tail, ...(hint === undefined ? {} : { hint }) })
      },
    )
  } finally {
    await rm(place('auth.json'), { force: true })
  }
  return place('oci')
}

const readImage = async (operation: Operation, input: PullInput, layout: string): Promise<OciImage> => {
  try {
    const image = await readOciLayout(layout)
    const wanted = goArch[operation.arch] ?? operation.arch
    if (image.os !== 'linux' || image.architecture !== wanted) {
      throw new Error(`It is for ${image.os}/${image.architecture}; this machine is linux/${wanted}.`)
    }
    return image
  } catch (error) {
    throw failed(input.reference, error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** Puts one layer into the store under its diff id, so that images share it; the blob and the archive in it must have their digests. */
const storeLayer = async (operation: Operation, input: PullInput, layer: OciLayer, at: number): Promise<string> => {
  const id = layer.diffId.slice('sha256:'.length)
  operation.keep([id])
  if (await operation.layers.check(id)) return id
  const expect = (expected: string) => (digest: string) => {
    if (digest !== expected)
      throw failed(input.reference, `its layer ${expected} is damaged: it has the digest ${digest}.`)
  }
  const blob = verified(createReadStream(layer.path, { highWaterMark: 1024 * 1024 }), expect(layer.digest))
  const archive = verified(await decompress(blob), expect(layer.diffId))
  const tree = join(operation.folder, `layer-${at}`)
  await unpack(archive, tree, {
    kind: 'layer',
    env: operation.env,
    signal: operation.signal,
    needsEnd: false,
    failure: (message, cause) => failed(input.reference, `its layer ${layer.digest}: ${message}`, { cause }),
  })
  // The blob is not needed any more, and a large image need not lie on the disk twice.
  await rm(layer.path, { force: true })
  return (await operation.commit(tree, { id })).id
}

/** What an image of a registry is, for the platform of this host, with its layers in the store. */
export const pullLayers = async (
  operation: Operation,
  input: PullInput,
): Promise<{ source: string; layers: string[]; config: ImageConfig }> => {
  const reference = parseReference(input.reference)
  const layout = await inPhase(operation, 'download', formatReference(reference), () =>
    copyFromRegistry(operation, input, reference),
  )
  const image = await readImage(operation, input, layout)
  const layers: string[] = []
  for (const [at, layer] of image.layers.entries()) {
    const message = `layer ${at + 1} of ${image.layers.length}, ${Math.ceil(layer.size / 1024 / 1024)} MiB`
    layers.push(await inPhase(operation, 'unpack', message, () => storeLayer(operation, input, layer, at)))
  }
  return { source: formatReference(reference), layers, config: image.config }
}

/** Pulls an image from a registry and keeps it under a name. */
export const pullImage = async (operation: Operation, input: PullInput, name: string): Promise<ImageManifest> =>
  operation.add({ name, ...(await pullLayers(operation, input)) })
