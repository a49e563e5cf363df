#!/bin/sh
# build-go.sh MODULE OUT_DIR: builds OUT_DIR/MODULE from the Go module of that name, one static binary for this machine. Says nothing
# when it is up to date: a hash of the sources and of the compiler's version is kept beside it.
set -eu
[ $# -eq 2 ] || { echo 'usage: build-go.sh MODULE OUT_DIR' >&2; exit 2; }
name=$1
mkdir -p "$2"
out=$(cd "$2" && pwd -P)
script=$(cd "$(dirname "$0")" && pwd -P)/build-go.sh
cd "$(dirname "$script")/../$name"
command -v go >/dev/null || { echo "$name: Go 1.19 or newer is not installed." >&2; exit 1; }

hash=$({ go version; cat "$script"; find . -name '*.go' ! -name '*_test.go' -o -name go.mod | LC_ALL=C sort |
  while IFS= read -r file; do echo "$file"; cat "$file"; done; } | sha256sum | cut -d' ' -f1)
stamp=$out/.$name.sources
if [ -x "$out/$name" ] && [ "$(cat "$stamp" 2>/dev/null || :)" = "$hash" ]; then exit 0; fi

# Two builds at once must not see each other's half-written file; boxes that run the old one keep it.
temporary=$(mktemp "$out/.$name.XXXXXX")
trap 'rm -f "$temporary"' EXIT
CGO_ENABLED=0 GOFLAGS= GOPROXY=off GOTOOLCHAIN=local go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$temporary" "./cmd/$name"
chmod 755 "$temporary"
mv -f "$temporary" "$out/$name"
echo "$hash" >"$stamp"
echo "built $out/$name"
