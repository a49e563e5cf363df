#!/bin/sh
# npm test: sets the machine up as the launcher does, then runs every test. Arguments go to the runner: `npm test -- unit`.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
. "$root/scripts/toolchain.sh"

provide dev
PATH=$toolchain/bin:$PATH
export PATH
"$root/gibil" up --prepare --for-tests >&2
exec node "$root/scripts/run-tests.ts" "$@"
