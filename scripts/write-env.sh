#!/bin/sh
# Writes .env with a first admin key, for `make up` and for docker-compose, unless it is there.
set -eu
cd "$(dirname "$0")/.."
if [ -f .env ] && grep -q '^SENDGATE_API_KEY=.' .env; then exit 0; fi

umask 077
if [ ! -f .env ]; then
  echo '# Read by `make up` and by docker-compose. Variables of the shell win over what is here.' >.env
elif [ -n "$(tail -c 1 .env)" ]; then
  echo >>.env # The last line had no end.
fi
node -e 'console.log(`SENDGATE_API_KEY=sg_${require("node:crypto").randomBytes(24).toString("base64url")}`)' >>.env
echo 'Wrote .env with a new SENDGATE_API_KEY.'
