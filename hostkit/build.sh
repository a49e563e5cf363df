#!/bin/sh
# build.sh OUT_DIR: builds OUT_DIR/hostkit when its sources changed.
exec sh "$(dirname "$0")/../scripts/build-go.sh" hostkit "$@"
