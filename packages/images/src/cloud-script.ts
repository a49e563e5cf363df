import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Recipe } from './recipe.ts'

type Parts = Pick<Recipe, 'suite' | 'packages' | 'backports' | 'node' | 'npm' | 'nodes' | 'npmPackages' | 'filesPaths'>

/**
 * A script for root that brings what a recipe has to a machine of a cloud, whose system is there already: its packages, Node, what it has of npm and its files, as the
 * recipe's own build brings them. The set-up of the recipe stays away, since cloud-init makes the user and the system is the cloud's.
 */
export const cloudScript = async (recipe: Parts): Promise<string> => `#!/bin/sh
set -eu
export DEBIAN_FRONTEND=noninteractive
${backportsOf(recipe)}apt-get -q -o DPkg::Lock::Timeout=300 update
apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends ${[...recipe.packages, ...recipe.backports].join(' ')}
apt-get clean

case $(uname -m) in aarch64) arch=arm64 ;; *) arch=x64 ;; esac
work=$(mktemp -d)
fetch() { curl -fsSL --retry 3 -o "$work/tgz" "https://registry.npmjs.org/$1/-/$1-$2.tgz"; tar -xzf "$work/tgz" -C "$work"; }
fetch "node-linux-$arch" ${recipe.node}
install -m 755 "$work/package/bin/node" /usr/local/bin/node
rm -rf "$work/package"
fetch npm ${recipe.npm}
mkdir -p /usr/local/lib/node_modules
rm -rf /usr/local/lib/node_modules/npm
mv "$work/package" /usr/local/lib/node_modules/npm
ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ln -sf ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
chmod 755 /usr/local/lib/node_modules/npm/bin/*-cli.js
${npmOf(recipe)}rm -rf "$work"
node --version
npm --version
${await filesOf(recipe)}`

const backportsOf = ({ suite, backports }: Parts): string =>
  backports.length === 0
    ? ''
    : `echo 'deb http://deb.debian.org/debian ${suite}-backports main' >/etc/apt/sources.list.d/backports.list\n`

/** Other versions of Node, and packages of npm each in a folder of its own with its programs in /usr/local/bin, as `recipe-npm.ts` has them. */
function npmOf({ nodes, npmPackages }: Parts): string {
  const versions = Object.entries(nodes).map(
    ([major, version]) => `fetch "node-linux-$arch" ${version}
install -D -m 755 "$work/package/bin/node" /opt/node${major}/bin/node
rm -rf "$work/package"
`,
  )
  const packages = Object.entries(npmPackages).map(
    ([
      name,
      version,
    ]) => `npm install --prefix /usr/local/lib/npm/${name} --ignore-scripts --no-audit --no-fund ${name}@${version}
for program in /usr/local/lib/npm/${name}/node_modules/.bin/*; do
  [ ! -e "$program" ] || ln -sf "$program" /usr/local/bin/
done
`,
  )
  return [...versions, ...packages].join('')
}

/** The files of a recipe, a few KiB, within the script. */
async function filesOf({ filesPaths }: Parts): Promise<string> {
  const parts = await Promise.all(
    filesPaths.map(async (path) => {
      const argv = ['-C', path, '--owner=0', '--group=0', '--sort=name', '--mtime=@0', '-cz', '.']
      const { stdout } = await promisify(execFile)('tar', argv, { encoding: 'buffer' })
      return `base64 -d <<'END' | tar -xz -C /\n${stdout.toString('base64').replace(/.{76}/g, '$&\n')}\nEND\n`
    }),
  )
  return parts.join('')
}
