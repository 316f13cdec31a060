#!/bin/sh
# Makes sure that a redis-server or valkey-server is on the PATH: installs one where it may, else prints the one command
# to run and fails.
set -eu
. "$(dirname "$0")/require.sh"

have_redis() { command -v redis-server >/dev/null || command -v valkey-server >/dev/null; }

require 'Redis (redis-server or valkey-server on the PATH)' have_redis \
  'redis-server' 'valkey redis' 'redis valkey' 'redis' 'give the address of one in REDIS_URL'
