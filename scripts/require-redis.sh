#!/bin/sh
# Makes sure that a redis-server or valkey-server is on the PATH: installs one where it may, else prints the one command
# to run and fails.
set -eu

have_redis() { command -v redis-server >/dev/null || command -v valkey-server >/dev/null; }

if have_redis; then exit 0; fi

as_root=
if [ "$(id -u)" -ne 0 ]; then as_root=sudo; fi

if command -v brew >/dev/null; then
  install='brew install redis'
  as_root=
elif command -v apt-get >/dev/null; then
  install="${as_root:+$as_root }apt-get install -y redis-server"
elif command -v dnf >/dev/null; then
  install="${as_root:+$as_root }dnf install -y valkey"
elif command -v apk >/dev/null; then
  install="${as_root:+$as_root }apk add redis"
else
  echo 'Sendgate needs Redis: install redis-server or valkey-server, or give the address of one in REDIS_URL.' >&2
  exit 1
fi

if [ -n "$as_root" ] && ! sudo -n true 2>/dev/null; then
  echo 'Sendgate needs Redis, and neither redis-server nor valkey-server is on the PATH. Install it with' >&2
  echo "    $install" >&2
  echo 'and run this again, or give the address of one in REDIS_URL.' >&2
  exit 1
fi

echo "Neither redis-server nor valkey-server is on the PATH. Installing one: $install"
case $install in
  *apt-get*)
    # A machine that was just set up has no package lists yet. The answer is in the install that follows.
    ${as_root:+sudo -n} apt-get update -qq || true
    ${as_root:+sudo -n} env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server
    ;;
  *dnf*) ${as_root:+sudo -n} dnf install -y -q valkey || ${as_root:+sudo -n} dnf install -y -q redis ;;
  *apk*) ${as_root:+sudo -n} apk add --quiet redis || ${as_root:+sudo -n} apk add --quiet valkey ;;
  *brew*) brew install redis ;;
esac

if ! have_redis; then
  echo "That did not bring a redis-server. Run: $install" >&2
  exit 1
fi
