import { GibilError } from '@gibil/contract'
import type { Context } from './context.ts'
import { ofBox } from './labels.ts'
import { isNothing, look } from './survey.ts'

/**
 * Throws `cloud_unauthorized` when nothing of a box is found and it may be in another project than that of the token. A token belongs to one project, and what is not
 * there is gone only when the box was made with this token: nothing may be taken as gone that goes on, and costs, where it cannot be seen.
 */
export async function checkProject({ client, files, links }: Context, id: string): Promise<void> {
  const kept = await files.read(id)
  if (kept === undefined || kept.privateKey === links.forNew(id).client.privateKey) return
  // The token was changed for another one of the same project.
  if (!isNothing(await look(client, ofBox(id)))) return
  throw new GibilError(
    'cloud_unauthorized',
    `Nothing of box ${id} is in the project of the cloud token, and it was made with another token: it may go on in another project, and cost.`,
    {
      hint: `Start the daemon with a token of its project. If it is gone for good: \`rm -r ${files.directory(id)}\`, and destroy it again.`,
    },
  )
}
