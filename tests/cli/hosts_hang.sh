#!/bin/bash
# A host whose login hangs: everybody is told why after 60 s, and what other hosts do is not held up.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/hosts.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/hosts.sh"

at_end+=(hosts_down)
hosts_up 3
mkdir -p "$XDG_CONFIG_HOME/dkrun"
echo "provider lab { kind = \"ssh\"  hosts = [\"h1\", \"h2\", \"h3\"]  config = \"$hosts/ssh_config\" }" >"$XDG_CONFIG_HOME/dkrun/providers.dk"
echo 'sleep 1000' >"$hosts/h1/home/.bashrc"       # before the first word of ours
echo 'sleep 1000' >"$hosts/h2/home/.bash_profile" # of the login shell that is to become the agent
host_shell 1 /bin/bash
host_shell 2 /bin/bash
repo
put e.dk <<'END'
grid g { x in 1..2 }
task go over g { run = "uname -n; echo {{x}} > /var/tmp/began.{{x}}; until [ -e /var/tmp/go ]; do sleep 0.1; done" }
END
commit

before=$SECONDS
"$dkrun" run e.dk --foreground --plain >"$room/log" 2>&1 </dev/null &
engine=$!
"$dkrun" providers check >"$room/check" 2>&1 </dev/null &
check=$!

began() { host_exec 3 test -e /var/tmp/began.1; }
wait_until began # where the login is fine

code=0
wait "$check" || code=$?
took=$((SECONDS - before))
[ "$code" -eq 4 ] || fail "providers check: exit code $code: $(<"$room/check")"
[ "$took" -lt 100 ] || fail "providers check took $took s"
echo "providers check took $took s"
told() { grep -qF "$2" "$room/$1" || fail "no '$2' in $1: $(<"$room/$1")"; }
told check 'problem   lab h1  nothing came of it for 60 s while ssh logged in'
told check 'problem   lab h2  nothing came of it for 60 s while its login shell was to start the agent'
told check "help: what its login starts"
told check "does this come to a prompt: ssh -F $hosts/ssh_config h2"
told check '1 of 3 hosts is fine'

told_of() { grep -q "^h$1: nothing came of it for 60 s while .*; connecting again" "$room/log"; }
wait_until told_of 1
wait_until told_of 2
host_exec 3 touch /var/tmp/go
wait "$engine" || fail "the run failed: $(<"$room/log")"
told log '2 ran, 0 cached, 0 failed'
for t in t1 t2; do
  run logs $t
  is h3
done
