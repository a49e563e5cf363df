#!/bin/sh
# npm run conformance:e2b: the test suite of E2B's JavaScript SDK against a daemon of its own. The sources are the user's: see docs/e2b.md.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
. "$root/scripts/toolchain.sh"
provide dev
PATH=$toolchain/bin:$root/node_modules/.bin:$PATH
export PATH
cd "$root"
./gibil up --prepare
exec node scripts/conformance-e2b.ts "$@"
