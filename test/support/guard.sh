#!/bin/sh
# guard.sh DIRECTORY COMMAND...
#
# Runs COMMAND and says its process id. When standard input closes, which happens however the test process ends
# (a crash and SIGKILL included), kills COMMAND and removes DIRECTORY. Ends when COMMAND ends, with its status.
# Ctrl-C reaches the whole group, and the guard must outlive the tests, and the pipes to them, to clean up after them.
trap '' HUP INT TERM PIPE
directory=$1
shift
exec 3<&0
"$@" </dev/null &
child=$!
echo "pid $child"
{
  read -r _ <&3
  : >"$directory/.orphaned"
  kill -KILL "$child"
} >/dev/null 2>&1 &
guard=$!
wait "$child"
status=$?
kill -KILL "$guard" 2>/dev/null
if [ -e "$directory/.orphaned" ]; then rm -rf "$directory"; fi
exit "$status"
