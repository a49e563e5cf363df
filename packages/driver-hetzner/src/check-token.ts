import { GibilError } from '@gibil/contract'
import { createClient } from './client/client.ts'
import { cloudCodeOf } from './client/failure.ts'
import { type Pace, realPace } from './client/pace.ts'
import { labelNames } from './labels.ts'

/** What can be seen of a project. The API does not tell its name, so people know it by what is in it. */
export interface ProjectView {
  /** Names of servers, oldest first. */
  readonly servers: readonly string[]
  /** How many of them are boxes of Gibil, of whatever home. */
  readonly boxes: number
  readonly sshKeys: readonly string[]
}

export interface TokenCheck {
  readonly endpoint: string
  readonly pace?: Pace
}

const patienceMs = 10_000

/**
 * Looks into the project of a token, and whether the token may write: by asking for a key that cannot be made, since there is no call that only says so. That a token that may only
 * read is refused before the request is looked at is how the API answers others (`token_readonly`); it is not written down.
 * Throws `cloud_unauthorized`, `cloud_unreachable`, `invalid_request` for what can be no token.
 */
export async function checkToken(token: string, { endpoint, pace = realPace }: TokenCheck): Promise<ProjectView> {
  if (!/^[\x21-\x7e]{1,256}$/.test(token)) {
    throw new GibilError('invalid_request', 'What was given is no token of Hetzner Cloud.', {
      hint: 'Give the token alone, as the console shows it once: 64 letters and digits.',
    })
  }
  const client = createClient({ endpoint: endpoint.replace(/\/+$/, ''), token: () => token, pace, patienceMs })
  const servers = await client.list('servers', {}, { patienceMs })
  const keys = await client.list('ssh_keys', {}, { patienceMs })
  await checkWrites(() => client.createSshKey({ name: 'gibil-token-check', public_key: 'none', labels: {} }))
  return {
    servers: servers.map(({ name }) => name),
    boxes: servers.filter(({ labels }) => labels[labelNames.boxId] !== undefined).length,
    sshKeys: keys.map(({ name }) => name),
  }
}

async function checkWrites(makeImpossible: () => Promise<unknown>): Promise<void> {
  try {
    await makeImpossible()
  } catch (error) {
    if (cloudCodeOf(error) !== 'invalid_input') throw error
    return
  }
  throw new GibilError('cloud_failed', 'Hetzner Cloud took "none" for an SSH key: it is not what Gibil knows.', {
    hint: 'Remove the key gibil-token-check in the console, and look at HCLOUD_ENDPOINT.',
  })
}
