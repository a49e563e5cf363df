#!/bin/sh
# npm run soak: sets the machine up as the launcher does, then soaks. Arguments go to the soak: `npm run soak -- --help`.
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
exec node "$root/test/soak/main.ts" "$@"
