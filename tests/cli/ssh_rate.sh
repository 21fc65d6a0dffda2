#!/bin/bash
# Tasks that do nothing, on one ssh host and on this machine, in turns: the connection may cost half of the rate at most.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/lib.sh"
. "$here/../support/hosts.sh"
tasks=${1:-2000} rounds=3

at_end+=(hosts_down)
hosts_up 1

repo
put e.dk <<END
experiment e { }
param n = 1
grid g { x in 1..$tasks }
task nothing over g { run = ": {{x}} {{n}}" }
END
commit
mkdir -p "$XDG_CONFIG_HOME/dkrun"
providers=$XDG_CONFIG_HOME/dkrun/providers.dk
echo "provider lab { kind = \"ssh\"  hosts = [\"h1\"]  config = \"$hosts/ssh_config\" }" >"$room/lab.dk"

# Milliseconds of a run with this parameter.
time_run() {
  local began
  began=$(date +%s%N)
  run run e.dk --foreground --quiet -p n="$1"
  echo $((($(date +%s%N) - began) / 1000000))
}
median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }

for side in here there; do : >"$room/$side"; done
for ((i = 0; i < rounds; i++)); do
  rm -f "$providers"
  time_run $((2 * i)) >>"$room/here"
  cp "$room/lab.dk" "$providers"
  time_run $((2 * i + 1)) >>"$room/there"
done
here=$(median <"$room/here") there=$(median <"$room/there")
echo "$tasks tasks: $here ms here, $there ms on one ssh host: $((100 * here / there)) % of the rate"
[ $((2 * here)) -ge "$there" ] || fail "less than half of the rate"
