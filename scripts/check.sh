#!/bin/sh
# Everything that can be said about the sources without running the product against a load: format, types, the way
# imports point, and whether what is generated is up to date. Runs all of it, then fails if any of it did.
set -u
cd "$(dirname "$0")/.."
failed=

step() {
  name=$1
  shift
  started=$(date +%s)
  if "$@"; then outcome=ok; else outcome=FAILED failed="$failed $name"; fi
  echo "check $name: $outcome ($(($(date +%s) - started)) s)"
}

step format npm run --silent lint -- --colors=off
step types npm run --silent typecheck
step imports ./scripts/test.sh --selectProjects standalone --silent test/unit/imports.test.ts
step openapi npm run --silent openapi:check
step docs npm run --silent docs:check

if [ -n "$failed" ]; then
  echo "failed:$failed" >&2
  exit 1
fi
