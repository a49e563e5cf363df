#!/bin/sh
# npm run vsix: packs the extension of VS Code as packages/vscode/dist/gibil.vsix.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
. "$root/scripts/toolchain.sh"
provide dev
exec "$node" "$root/packages/vscode/build.ts" "$@"
