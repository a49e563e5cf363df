import { stat } from 'node:fs/promises'
import { GibilError } from '@gibil/contract'
import { type HostEnv, mustRun, runTool } from './tool.ts'

/** Where Debian packages come from. */
export interface AptSources {
  /** One-line entries of sources.list. */
  readonly lines: readonly string[]
  /** Settings of the host's apt that a download there needs: proxies, snapshots whose Release files have expired. */
  readonly settings: readonly string[]
}

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
const debian = 'http://deb.debian.org/debian'
const debianSecurity = 'http://deb.debian.org/debian-security'

/** The entries for a suite on a mirror and a security mirror. */
const sourceLines = (suite: string, mirror: string, security: string, backports: boolean): string[] => [
  `deb ${mirror} ${suite} main`,
  `deb ${mirror} ${suite}-updates main`,
  `deb ${security} ${suite}-security main`,
  // What is in both comes from the suite unless somebody asks for the other: apt gives backports a lower priority.
  ...(backports ? [`deb ${mirror} ${suite}-backports main`] : []),
]

/** What images name as their own sources, whatever mirror built them: a box is elsewhere on the network than its host. */
export const publicSourceLines = (suite: string, backports: boolean): string[] =>
  sourceLines(suite, debian, debianSecurity, backports)

/** Reads the lines `<uri> <suite> <origin>` of apt's index targets; only what Debian itself published counts. */
export const mirrorsFrom = (targets: string): { mirror: string; security: string } => {
  const rows = targets
    .split('\n')
    .map((line) => line.trim().split(' '))
    .filter(([uri, , origin]) => uri !== undefined && /^https?:\/\/[^\s[\]"]+$/.test(uri) && origin === 'Debian')
  const strip = (uri: string | undefined): string | undefined => uri?.replace(/\/+$/, '')
  return {
    mirror: strip(rows.find(([, suite]) => !suite?.includes('-'))?.[0]) ?? debian,
    security: strip(rows.find(([, suite]) => suite?.endsWith('-security'))?.[0]) ?? debianSecurity,
  }
}

/**
 * The mirrors of the host's own apt where the host is Debian, else deb.debian.org. Throws `missing_tool` without Debian's
 * keys, which Ubuntu has in the package debian-archive-keyring.
 */
export const findAptSources = async (
  { suite, backports }: { readonly suite: string; readonly backports: readonly string[] },
  env: HostEnv,
  signal?: AbortSignal,
): Promise<AptSources> => {
  const hasKeys = await stat(keyring).then(
    () => true,
    () => false,
  )
  if (!hasKeys) {
    throw new GibilError(
      'missing_tool',
      "Debian's archive keys are not on this host, so its packages cannot be verified.",
      {
        hint: 'Install debian-archive-keyring, or run `./gibil up`.',
      },
    )
  }
  const format = '$(REPO_URI) $(RELEASE) $(ORIGIN)'
  const targets = await runTool(['apt-get', 'indextargets', '--format', format, 'Created-By: Packages'], {
    env,
    signal,
  })
  const dump = await mustRun(['apt-config', 'dump'], { env, signal })
  const wanted = /^(Acquire::https?::Proxy(::[^ ]+)?|Acquire::Check-Valid-Until|Acquire::Check-Date) ".*";$/
  const { mirror, security } = mirrorsFrom(targets.exitCode === 0 ? targets.stdout : '')
  return {
    lines: sourceLines(suite, mirror, security, backports.length > 0),
    settings: dump.stdout.split('\n').filter((line) => wanted.test(line)),
  }
}
