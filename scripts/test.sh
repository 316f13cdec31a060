#!/bin/sh
# Runs the tests: Redis in containers where a Docker engine answers, else as private processes; the same tests.
# Arguments go to jest. SENDGATE_TEST_REDIS=container|process decides by hand.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${SENDGATE_TEST_REDIS:-}" ]; then
  if docker info >/dev/null 2>&1; then SENDGATE_TEST_REDIS=container; else SENDGATE_TEST_REDIS=process; fi
fi
export SENDGATE_TEST_REDIS
echo "Redis for the tests: $SENDGATE_TEST_REDIS"

# Also beside containers: what `sendgate up` does without a REDIS_URL is tested too.
./scripts/require-redis.sh
./scripts/require-browser.sh
exec node node_modules/jest/bin/jest.js "$@"
