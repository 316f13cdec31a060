# To be sourced: installs a program where it may, else prints the one command to run and fails.

# require WHAT IS-THERE APT DNF APK BREW ADVICE
#   WHAT      what is needed, in words: "Redis"
#   IS-THERE  a command that succeeds once it is there
#   APT…BREW  what it is called by each package manager, the likeliest first, separated by blanks
#   ADVICE    what else one may do than install it
require() {
  what=$1 is_there=$2 apt=$3 dnf=$4 apk=$5 brew=$6 advice=$7
  if $is_there; then return; fi

  as_root=
  if [ "$(id -u)" -ne 0 ]; then as_root=sudo; fi
  if command -v brew >/dev/null; then
    manager='brew install' names=$brew as_root=
  elif command -v apt-get >/dev/null; then
    manager='apt-get install -y' names=$apt
  elif command -v dnf >/dev/null; then
    manager='dnf install -y' names=$dnf
  elif command -v apk >/dev/null; then
    manager='apk add' names=$apk
  else
    echo "$what is needed: $advice." >&2
    exit 1
  fi
  install="${as_root:+$as_root }$manager ${names%% *}"

  if [ -n "$as_root" ] && ! sudo -n true 2>/dev/null; then
    echo "$what is needed, and not here. Install it with" >&2
    echo "    $install" >&2
    echo "and run this again, or $advice." >&2
    exit 1
  fi

  echo "$what is not here. Installing it: $install"
  # A machine that was just set up has no package lists yet. The answer is in the install that follows.
  case $manager in apt-get*) ${as_root:+sudo -n} apt-get update -qq || true ;; esac
  for name in $names; do
    # shellcheck disable=SC2086 # the words of the command
    if ${as_root:+sudo -n} env DEBIAN_FRONTEND=noninteractive $manager $name >/dev/null; then break; fi
  done

  if ! $is_there; then
    echo "That did not bring it. Run: $install" >&2
    exit 1
  fi
}
