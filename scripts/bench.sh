#!/bin/sh
# npm run bench: sets the machine up as the launcher does, then measures. Arguments go to the bench: `npm run bench -- --help`.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
. "$root/scripts/toolchain.sh"

provide dev
PATH=$toolchain/bin:$PATH
export PATH
case " $* " in
  *" --help "*) ;;
  *) "$root/gibil" up --prepare >&2 ;;
esac
exec node "$root/bench/main.ts" "$@"
