#!/bin/sh
# npm run bench: sets the machine up as the launcher does, then measures. Arguments go to the bench: `npm run bench -- --help`.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
. "$root/scripts/toolchain.sh"

[ -x "$node" ] || with_lock provide_node
cmp -s "$root/package-lock.json" "$root/node_modules/.installed-dev" || with_lock install_dependencies dev
PATH=$toolchain/bin:$PATH
export PATH
case " $* " in
  *" --help "*) ;;
  *) "$root/gibil" up --prepare >&2 ;;
esac
exec node "$root/bench/main.ts" "$@"
