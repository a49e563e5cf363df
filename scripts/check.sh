#!/bin/sh
# npm run check: everything that can be said of the code without running it. Each check counts as one.
set -u
root=$(cd "$(dirname "$0")/.." && pwd -P)
. "$root/scripts/toolchain.sh"
provide dev
PATH=$toolchain/bin:$root/node_modules/.bin:$PATH
export PATH
cd "$root" || exit 1

passed=0
failed=0
check() {
  name=$1
  shift
  if output=$("$@" 2>&1); then
    passed=$((passed + 1))
    printf '  ✓ %s\n' "$name"
  else
    failed=$((failed + 1))
    printf '  ✗ %s\n%s\n' "$name" "$output"
  fi
}

go_clean() {
  unformatted=$(gofmt -l "$1") && [ -z "$unformatted" ] || { echo "gofmt: $unformatted"; return 1; }
  (cd "$1" && go vet ./...)
}

check 'format and lint' biome ci --colors=off --error-on-warnings --max-diagnostics=30 .
check 'types' tsc --noEmit -p tsconfig.json
check 'dead code' knip --no-progress
check 'direction of imports' depcruise packages
check 'documents are up to date' node scripts/generate-docs.ts --check
check 'boxd: gofmt and vet' go_clean boxd
check 'hostkit: gofmt and vet' go_clean hostkit
check 'shell scripts parse' sh -n gibil scripts/toolchain.sh scripts/test.sh scripts/check.sh scripts/bench.sh scripts/vsix.sh scripts/build-go.sh boxd/build.sh hostkit/build.sh packages/hetzner-sim/make-image.sh

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
