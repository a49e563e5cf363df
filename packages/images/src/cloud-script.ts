import type { Recipe } from './recipe.ts'

/**
 * A script for root that brings what a recipe has to a machine of a cloud, whose system is there already: its packages, and Node and npm as the recipe's own build
 * brings them. The set-up of the recipe stays away, since cloud-init makes the user and the system is the cloud's.
 */
export const cloudScript = ({ packages, node, npm }: Pick<Recipe, 'packages' | 'node' | 'npm'>): string => `#!/bin/sh
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q -o DPkg::Lock::Timeout=300 update
apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends ${packages.join(' ')}
apt-get clean

case $(uname -m) in aarch64) arch=arm64 ;; *) arch=x64 ;; esac
work=$(mktemp -d)
fetch() { curl -fsSL --retry 3 -o "$work/tgz" "https://registry.npmjs.org/$1/-/$1-$2.tgz"; tar -xzf "$work/tgz" -C "$work"; }
fetch "node-linux-$arch" ${node}
install -m 755 "$work/package/bin/node" /usr/local/bin/node
rm -rf "$work/package"
fetch npm ${npm}
mkdir -p /usr/local/lib/node_modules
rm -rf /usr/local/lib/node_modules/npm
mv "$work/package" /usr/local/lib/node_modules/npm
ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ln -sf ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
chmod 755 /usr/local/lib/node_modules/npm/bin/*-cli.js
rm -rf "$work"
node --version
npm --version
`
