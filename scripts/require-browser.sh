#!/bin/sh
# Makes sure that there is a Chromium for the tests of the console: installs one where it may, else prints the one command
# to run and fails.
set -eu
. "$(dirname "$0")/require.sh"

have_browser() {
  [ -n "${SENDGATE_TEST_BROWSER:-}" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
    || command -v google-chrome >/dev/null || [ -x '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome' ] \
    || [ -x /Applications/Chromium.app/Contents/MacOS/Chromium ]
}

require 'A Chromium for the tests of the console' have_browser \
  'chromium chromium-browser' 'chromium' 'chromium' 'chromium' 'give the path of one in SENDGATE_TEST_BROWSER'
