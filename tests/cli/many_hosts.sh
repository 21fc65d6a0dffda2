#!/bin/bash
# One engine and many hosts: each gets its share, and the engine stays small. `many_hosts.sh N` takes N hosts (50).
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/lib.sh"
. "$here/../support/hosts.sh"
n=${1:-50} each=20 # tasks a host

at_end+=(hosts_down)
hosts_up "$n"

repo
put e.dk <<END
experiment e { }
grid g { x in 1..$((n * each)) }
task place over g {
  metrics { host = match(stdout, '^(h[0-9]+)\$') }
  run = "uname -n; sleep 2; : {{x}}"
}
END
commit
mkdir -p "$XDG_CONFIG_HOME/dkrun"
names=$(for ((i = 1; i <= n; i++)); do printf '"h%d", ' "$i"; done)
cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<END
provider lab { kind = "ssh"  hosts = [${names%, }]  config = "$hosts/ssh_config" }
END

began=$(date +%s%N)
"$dkrun" run e.dk --foreground >"$room/out" 2>"$room/err" &
running=$!
memory=0 cpu=0
while kill -0 "$running" 2>/dev/null; do
  now=$(awk '/^VmHWM/ { print $2 }' "/proc/$running/status" 2>/dev/null) || true
  memory=${now:-$memory}
  now=$(awk '{ print $14 + $15 }' "/proc/$running/stat" 2>/dev/null) || true
  cpu=${now:-$cpu}
  sleep 0.5
done
wait "$running" || { tail -n 20 "$room/out" "$room/err" >&2; fail "the run failed"; }
took=$((($(date +%s%N) - began) / 1000000))

run results --format csv
perl -ne '$n{$1}++ if /,(h\d+)\s*$/; END { printf "%s %d\n", $_, $n{$_} for keys %n }' <<<"$out" | sort -k2n >"$room/shares"
[ "$(wc -l <"$room/shares")" -eq "$n" ] || fail "only $(wc -l <"$room/shares") of $n hosts had tasks"
read -r host least <"$room/shares"
[ "$least" -ge $((each / 2)) ] || fail "$host had only $least of $((n * each)) tasks"
most=$(tail -n 1 "$room/shares" | cut -d' ' -f2)
[ "$memory" -lt 200000 ] || fail "the engine took $memory KiB"
echo "$n hosts, $((n * each)) tasks of 2 s in $took ms: $least to $most a host; engine: $memory KiB, $((cpu * 10)) ms of processor time"
