/** What a link such as `vscode://gibil.gibil-vscode/open?box=work` asks for. */
export interface Link {
  readonly action: 'open' | 'terminal' | 'show'
  /** Name or id; `<name>@<owner>` for one of a token. */
  readonly box: string
}

const actions = ['open', 'terminal', 'show'] as const

/** Undefined for what is no such link: anybody may write one, and nothing that one asks for runs a command, changes a box or ends it. */
export function parseLink(path: string, query: string): Link | undefined {
  const action = actions.find((name) => path === `/${name}`)
  const box = new URLSearchParams(query).get('box')
  if (!action || box === null || !/^[a-z0-9][a-z0-9-]{0,127}(@[a-z0-9][a-z0-9-]{0,127})?$/.test(box)) return undefined
  return { action, box }
}
