import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Machine, openBoxdSsh } from '@gibil/boxd-ssh'
import { GibilError } from '@gibil/contract'
import {
  createHetznerDriver,
  type HetznerDriver,
  type HetznerDriverOptions,
  hetznerEndpoint,
  requireToken,
} from '@gibil/driver-hetzner'
import { systemClock } from './process/clock.ts'
import { sourceTree } from './process/source-tree.ts'

type Place = Pick<HetznerDriverOptions, 'home' | 'log' | 'step'>

/**
 * Boxes on Hetzner Cloud, reached by SSH. The token comes from the environment of the daemon (`HCLOUD_TOKEN`), its home, or the configuration of the CLI
 * hcloud, and all else from the environment: `HCLOUD_ENDPOINT`, and `GIBIL_SSH_FROM`, from where SSH is admitted. Without a token the driver says so when it is opened.
 */
export function createHetzner(place: Place, env: Readonly<Record<string, string | undefined>>): HetznerDriver {
  const { log } = place
  return createHetznerDriver({
    ...place,
    token: () => requireToken(env, place.home),
    endpoint: hetznerEndpoint(env),
    sshFrom: env['GIBIL_SSH_FROM'] ? env['GIBIL_SSH_FROM'].split(/[\s,]+/).filter(Boolean) : undefined,
    openLink: (target) => openBoxdSsh({ ...target, boxdBinary, clock: systemClock, log }),
  })
}

const ours: Machine = process.arch === 'arm64' ? 'arm' : 'x86'
const goArch: Readonly<Record<Machine, string>> = { x86: 'amd64', arm: 'arm64' }

/** boxd for the other architecture is built when a machine of it is made first. Throws `missing_tool`. */
async function boxdBinary(machine: Machine): Promise<string> {
  if (machine === ours) return sourceTree.boxd
  const directory = join(sourceTree.boxd, '..', goArch[machine])
  try {
    const env = { ...process.env, GOARCH: goArch[machine] }
    await promisify(execFile)('sh', [sourceTree.buildBoxd, directory], { env })
  } catch (error) {
    throw new GibilError('missing_tool', `boxd for machines of ${goArch[machine]} could not be built.`, {
      hint: 'Install Go 1.19 or newer, or take a machine of the architecture of this one (--arch).',
      cause: error,
    })
  }
  return join(directory, 'boxd')
}
