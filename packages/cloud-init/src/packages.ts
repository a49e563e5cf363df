/** A package of the machine's distribution, and the command by which one sees that it need not be installed. */
export interface WantedPackage {
  readonly package: string
  readonly command: string
}

/** What a box that is a whole machine has. Names are those of Debian and Ubuntu. */
export const usualPackages: readonly WantedPackage[] = [
  { package: 'docker.io', command: 'dockerd' },
  // Without it Docker runs no container on a kernel that has AppArmor.
  { package: 'apparmor', command: 'apparmor_parser' },
  { package: 'git', command: 'git' },
  { package: 'curl', command: 'curl' },
  { package: 'rsync', command: 'rsync' },
  { package: 'unzip', command: 'unzip' },
]

/**
 * A script for root that installs what is not there: on an image that has it all, not even the lists of packages are fetched, as they would be by `packages` of
 * cloud-init.
 */
export function installScript(packages: readonly WantedPackage[], user: string): string {
  const wanted = packages.map(({ package: name, command }) => `${command}:${name}`).join(' ')
  return `missing=
for pair in ${wanted}; do command -v "\${pair%%:*}" > /dev/null || missing="$missing \${pair#*:}"; done
if [ -n "$missing" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q -o DPkg::Lock::Timeout=300 update && apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing ||
    echo "gibil: these packages could not be installed:$missing"
fi
if getent group docker > /dev/null; then usermod --append --groups docker ${user}; fi
`
}
