#!/bin/bash
# The provider ssh is hung up, killed, or meets a host that means no good: nothing is left behind, nothing is given away.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"

# Hanging up at any moment, and being killed: nothing is left, here or there
for ms in 1 20 60 100 140 180 220 260 300 400; do
  clear 1
  out=$("$dial" -c "$config" -a "$agent" -k $ms h1 2>/dev/null) || fail "hung up after $ms ms"
  lacks 'descriptors were left open'
  lacks 'hanging up took'
done
wait_until none_left
up h1
none_there() { ! host_exec 1 sh -c 'for p in /proc/[0-9]*; do cat $p/cmdline; done 2>/dev/null' | tr '\0' ' ' | grep -q 'bin/dkagent-'; }
wait_until none_there
[ "$(host_exec 1 sh -c 'ls -A /root/.cache/dkrun/h1/bin' | wc -l)" -eq 1 ] || fail "left: $(host_exec 1 ls -A /root/.cache/dkrun/h1/bin)"
for seconds in 0.05 0.15 0.25 0.35 1; do
  "$dial" -c "$config" -a "$agent" -w h1 >/dev/null 2>&1 &
  pid=$!
  sleep $seconds
  kill -KILL $pid
  wait $pid 2>/dev/null || true
done
wait_until none_left
wait_until none_there

# A hostile host gets nothing but the program that it is to have, and only when it is its turn. (It sees what comes.)
hostile() { # a script in the place of ssh; the words in the end
  printf '#!/bin/sh\n%s\n' "$2" >"$room/fake"
  chmod +x "$room/fake"
  if out=$(DKRUN_SSH=$room/fake "$dial" -a "$agent" h1 2>"$room/err"); then fail "it should fail"; fi
  has "$1"
}
facts='echo; echo dk1 arch $(uname -m); echo dk1 ask'
hostile 'prints more than 64 KiB' 'cat /dev/zero'
hostile 'prints more than 64 KiB' 'yes'
hostile 'prints more than 64 KiB' 'yes "dk1 release ID=x"'
hostile 'it wants what it was not offered' 'echo dk1 want dkagent; exec cat >/dev/null'
hostile 'it wants what it was not offered' "$facts; echo dk1 want /etc/passwd; exec cat >/dev/null"
hostile 'it asks twice' "$facts; echo dk1 ask; exec cat >/dev/null"
hostile 'it goes on without the program' 'echo dk1 go; exec cat >/dev/null'
hostile 'its processor is of the kind ../../etc/x;' 'echo dk1 arch ../../etc/x; echo dk1 ask; exec cat >/dev/null'
hostile 'its processor is of the kind ; there' 'echo dk1 ask; exec cat >/dev/null'
# Nothing that it says steers a terminal
hostile 'failed: [31mred' "printf 'dk1 fail \\033[31mred\\n'; exec cat >/dev/null"
