#!/bin/bash
# Where output goes wrong: closed pipes are quiet, a full disk is an error, closed descriptors do no harm.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
small
run run -q

if [ -e /dev/full ]; then
  for command in help "results" "status" "logs t3" "check" "show t3"; do
    code=0
    # shellcheck disable=SC2086
    "$dkrun" $command >/dev/full 2>"$room/err" </dev/null || code=$?
    [ "$code" -eq 4 ] || fail "$command to a full disk: exit code $code"
    grep -q 'No space left' "$room/err" || fail "$command: no message: $(cat "$room/err")"
  done
fi

# A reader that is gone: no message, no signal.
for command in "results" "status" "logs train" "help"; do
  # shellcheck disable=SC2086
  { code=0; "$dkrun" $command 2>"$room/err" || code=$?; echo "$code" >"$room/code"; } | true
  [ "$(cat "$room/code")" -eq 0 ] || fail "$command into a closed pipe: exit code $(cat "$room/code")"
  [ ! -s "$room/err" ] || fail "$command into a closed pipe says: $(cat "$room/err")"
done

# Without stdout and stderr the store must not be written to by messages.
"$dkrun" status >&- 2>&- <&- || true
"$dkrun" run -q >&- 2>&- <&- || true
run status
has '1  done'

# Colour only where it is wanted.
run status --color always
has $'\x1b['
NO_COLOR=1 run status
lacks $'\x1b'
