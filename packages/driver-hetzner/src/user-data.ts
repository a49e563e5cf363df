import { renderUserData, usualPackages } from '@gibil/cloud-init'
import type { DriverSpec } from '@gibil/core'
import type { SshKey } from './keys.ts'

/** So long after its deadline a machine switches itself off, if nobody else has ended it: time enough for a daemon that extends it late. */
const graceSeconds = 900

/**
 * What the machine of a box is told at its first boot. Whoever is in the box can read it: the host key in it shows that the box is itself, and nothing else.
 * Throws `invalid_user_data`.
 */
export const userDataOf = (
  spec: Pick<DriverSpec, 'hostname' | 'deadline' | 'cloudInit'>,
  keys: { readonly host: SshKey; readonly client: SshKey },
): string =>
  renderUserData({
    hostname: spec.hostname,
    authorizedKeys: [keys.client.publicKey],
    hostKeys: keys.host,
    deadline: spec.deadline ?? null,
    graceSeconds,
    packages: usualPackages,
    userText: spec.cloudInit,
  })
