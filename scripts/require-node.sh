#!/bin/sh
# Says so, and fails, when Node.js is missing or older than Sendgate needs.
set -eu
needed=20.19
how="Install Node.js $needed or newer (https://nodejs.org, or your version manager) and run this again."

if ! command -v node >/dev/null; then
  echo "Sendgate needs Node.js, which is not on the PATH. $how" >&2
  exit 1
fi
found=$(node -p process.versions.node)
if ! node -e "const [major, minor] = process.versions.node.split('.').map(Number), [a, b] = '$needed'.split('.').map(Number);
  process.exit(major > a || (major === a && minor >= b) ? 0 : 1)"; then
  echo "Sendgate needs Node.js $needed or newer, and this is $found ($(command -v node)). $how" >&2
  exit 1
fi
if ! command -v npm >/dev/null; then
  echo "Sendgate needs npm, which comes with Node.js, and it is not on the PATH. $how" >&2
  exit 1
fi
