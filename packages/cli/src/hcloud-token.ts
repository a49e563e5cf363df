import { text } from 'node:stream/consumers'
import { GibilError } from '@gibil/sdk'
import * as z from 'zod'
import { clean } from './output/text.ts'
import type { Session } from './session.ts'
import { runEntry } from './setup/entry.ts'
import { cloudTokenEntry } from './setup/source-tree.ts'

const Kept = z.object({
  path: z.string().nullable(),
  project: z.object({ servers: z.array(z.string()), boxes: z.number(), sshKeys: z.array(z.string()) }).nullable(),
})
export type KeptToken = z.infer<typeof Kept>

/** What `--hcloud-token` stands for: a token, or an empty text that has the home forget its own. Throws `invalid_request`. */
export async function tokenOf(source: string, { stdin, stderr }: Pick<Session, 'stdin' | 'stderr'>): Promise<string> {
  if (source === 'none') return ''
  if (source !== '-') {
    throw new GibilError('invalid_request', '--hcloud-token takes no token, but - or none.', {
      hint: 'Arguments can be read by others on this machine. By standard input: gibil init --hcloud-token - < file',
    })
  }
  const token = (stdin.isTTY ? await askToken('Token of a project in Hetzner Cloud', stderr) : await text(stdin)).trim()
  if (token !== '') return token
  throw new GibilError('invalid_request', 'There was no token on standard input.', {
    hint: 'To have the home forget its token: gibil init --hcloud-token none',
  })
}

/** Asks without showing what is typed. */
async function askToken(message: string, output: Session['stderr']): Promise<string> {
  const { isCancel, password } = await import('@clack/prompts')
  const answer = await password({ message, output })
  if (isCancel(answer)) throw new GibilError('cancelled', 'Nothing was written.')
  return answer ?? ''
}

/** Checks a token against the API and keeps it in the home. Throws `cloud_unauthorized`, `cloud_unreachable`. */
export const keepToken = ({ home, signal }: Session, token: string): Promise<KeptToken> =>
  runEntry(cloudTokenEntry, { args: ['--home', home], input: token, schema: Kept, signal })

/** Which project it is, as far as that can be seen, and from when the token holds. */
export function noteToken(session: Session, { path, project }: KeptToken): void {
  const { colors, env } = session
  if (path === null || project === null) {
    session.note(`${colors.green('✓')} the home has no token for Hetzner Cloud any more\n`)
    return
  }
  const { servers, boxes, sshKeys } = project
  session.note(`${colors.green('✓')} the token may read and write, and is kept in ${path}\n`)
  session.note(
    servers.length === 0 && sshKeys.length === 0
      ? '  its project is empty\n'
      : `  its project has ${counted(servers, 'server')}${boxes === 0 ? '' : `, ${boxes} of them boxes of Gibil`}, and ${counted(sshKeys, 'SSH key')}\n`,
  )
  if (env['HCLOUD_TOKEN'])
    session.note('  HCLOUD_TOKEN is set here; a daemon that has it in its environment uses that.\n')
  session.note('  next: gibil create --provider hetzner --name w --ttl 4h --max-hourly 0.05\n')
}

const shown = 4

function counted(names: readonly string[], what: string): string {
  if (names.length === 0) return `no ${what}`
  const some = names.slice(0, shown).map(clean).join(', ')
  return `${names.length} ${what}${names.length === 1 ? '' : 's'} (${some}${names.length > shown ? ', …' : ''})`
}
