import { emptyConfig, type ImageConfig } from '../manifest.ts'
import type { Lookup } from './words.ts'

/** How far a stage has come: its layers and configuration, and the build arguments it has named. */
export interface Stage {
  /** The name after AS, or its number. */
  readonly name: string
  /** Lowest first. */
  readonly layers: readonly string[]
  readonly config: ImageConfig
  readonly args: Readonly<Record<string, string>>
}

export const emptyStage = (name: string): Stage => ({ name, layers: [], config: emptyConfig, args: {} })

/** Variables of a stage: what ENV set goes before build arguments. */
export const lookupIn =
  (stage: Stage): Lookup =>
  (name) =>
    stage.config.env[name] ?? (Object.hasOwn(stage.args, name) ? stage.args[name] : undefined)

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Build arguments that every RUN gets without naming them, and that make no difference to what it makes. */
export const proxyArguments = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'all_proxy'].flatMap((name) => [
  name,
  name.toUpperCase(),
])

/** What commands of a stage find in their environment. */
export const stageEnvironment = (stage: Stage): Record<string, string> => ({
  PATH: defaultPath,
  ...stage.args,
  ...stage.config.env,
})

export const stageShell = (stage: Stage): readonly string[] => stage.config.shell ?? ['/bin/sh', '-c']
