#!/bin/sh
# npm run fuzz: every property and every fuzz test for longer than `npm test` takes. Arguments go to the runner: `npm run fuzz -- --seconds 60`.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
. "$root/scripts/toolchain.sh"

provide dev
PATH=$toolchain/bin:$PATH
export PATH
"$root/gibil" up --prepare >&2
exec node "$root/scripts/fuzz.ts" "$@"
