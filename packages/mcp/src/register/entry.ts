import { GibilError } from '@gibil/sdk'

/** How a client starts the server. */
export interface Entry {
  readonly type?: 'stdio'
  readonly command: string
  readonly args: readonly string[]
}

export const broken = (path: string, line: number, why: string): GibilError =>
  new GibilError('invalid_config', `${path}, line ${line}: ${why}. It was left as it is.`, {
    hint: 'Correct the file, or see `gibil mcp --print-config` for what belongs into it.',
    details: { path, line },
  })

export const lineOf = (text: string, offset: number): number => text.slice(0, offset).split('\n').length

/** What a config says beside our entry; an empty table of servers is as good as none. */
export function withoutEntry(config: object, key: string, name: string): object {
  const { [key]: servers, ...rest } = config as Record<string, unknown>
  const { [name]: _, ...others } = (servers ?? {}) as Record<string, unknown>
  return { ...rest, [key]: others }
}
