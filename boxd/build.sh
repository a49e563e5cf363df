#!/bin/sh
# build.sh OUT_DIR: builds OUT_DIR/boxd when its sources changed.
exec sh "$(dirname "$0")/../scripts/build-go.sh" boxd "$@"
