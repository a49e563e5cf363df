import { gunzipSync } from 'node:zlib'
import { parse } from 'yaml'
import { readMime } from '../read-mime.ts'

/** Of cloud-config, what a stand-in for cloud-init carries out. */
interface Config {
  readonly hostname: string
  readonly users: readonly {
    readonly name: string
    readonly uid: number
    readonly ssh_authorized_keys: readonly string[]
  }[]
  readonly ssh_keys: { readonly ed25519_private: string; readonly ed25519_public: string }
  readonly write_files: readonly { readonly path: string; readonly content: string }[]
  readonly runcmd: readonly (string | readonly string[])[]
}

/** What a machine was told by user data of ours. */
export interface Told {
  readonly config: Config
  readonly boothooks: readonly string[]
  /** Those of the user, in order. */
  readonly scripts: readonly string[]
}

/** Reads user data as a machine does that gets it, compressed or not. */
export function readTold(userData: string): Told {
  const isPlain = userData.startsWith('Content-Type:')
  const text = isPlain ? userData : gunzipSync(Buffer.from(userData, 'base64')).toString('utf8')
  const parts = readMime(text) ?? []
  const of = (type: string): string[] => parts.filter((part) => part.type === type).map((part) => part.text)
  return {
    config: parse(of('text/cloud-config')[0] ?? '', { version: '1.1' }) as Config,
    boothooks: of('text/cloud-boothook'),
    scripts: of('text/x-shellscript'),
  }
}
