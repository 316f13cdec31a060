#!/bin/sh
# Runs the product: API, worker and console in one process, with what .env says. `make up` has built it before.
set -eu
cd "$(dirname "$0")/.."
./scripts/write-env.sh
if [ -z "${REDIS_URL:-}" ] && ! grep -q '^REDIS_URL=.' .env; then ./scripts/require-redis.sh; fi

if [ -z "${SENDGATE_API_KEY:-}" ]; then
  echo 'The API key is in .env. In the shell that calls, `. ./.env` sets $SENDGATE_API_KEY.'
fi

# exec, so that a signal reaches the product itself. Of a variable in both, the shell's value wins.
exec node --env-file=.env dist/cli.js up
