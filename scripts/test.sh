#!/bin/sh
# npm test: sets the machine up as the launcher does, then runs every test. Arguments go to the runner: `npm test -- unit`.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
. "$root/scripts/toolchain.sh"

[ -x "$node" ] || with_lock provide_node
cmp -s "$root/package-lock.json" "$root/node_modules/.installed-dev" || with_lock install_dependencies dev
PATH=$toolchain/bin:$PATH
export PATH
"$root/gibil" up --prepare --for-tests >&2
exec node "$root/scripts/run-tests.ts" "$@"
