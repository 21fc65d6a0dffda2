#!/bin/bash
# `dkrun cancel --now` while a host is away: what may still run there is told, is not cleaned away, and ends when the host is there again.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/hosts.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/hosts.sh"
at_end+=(hosts_down)
hosts_up 2

mkdir -p "$XDG_CONFIG_HOME/dkrun"
providers() { # hosts, lost_after
  echo "provider lab { kind = \"ssh\"  hosts = [$1]  config = \"$hosts/ssh_config\"  lost_after = $2 }" >"$room/providers"
  mv "$room/providers" "$XDG_CONFIG_HOME/dkrun/providers.dk"
}
running() { # how many tasks of that name are processes there
  # shellcheck disable=SC2016 # for the shell there
  host_exec 1 sh -c 'n=0; for p in $(cat "/var/tmp/pids.$1" 2>/dev/null); do ! kill -0 "$p" 2>/dev/null || n=$((n + 1)); done; echo $n' x "$1"
}

runs_not() { [ "$(running "$1")" -eq 0 ]; }
ended() { ! is_there "$engine"; }
repo
put long.dk <<'END'
grid g { x in 1..2 }
task long over g {
  outputs { out = "out" }
  run = "echo $$ >> /var/tmp/pids.long; sleep 600; echo {{x}} > out"
}
END
put short.dk <<'END'
task short { run = "uname -n" }
END
commit

# --- cancelled while its host is away: the end of the run says what may still run there, and so do who looks later ---

providers '"h1"' 5s
"$dkrun" run long.dk --plain >"$room/log" 2>&1 </dev/null &
engine=$!
all_run() { [ "$(running long)" -eq 2 ]; }
wait_until all_run
host_link 1 down
run cancel --now
has 'run 1 ends'
wait_until ended # after lost_after
left='2 tasks of it may still run at lab h1: the next run that reaches this host ends them'
grep -qF "$left" "$room/log" || fail "the run's end does not say it: $(cat "$room/log")"
run status 1
count 1 "$left"
run -e 130 attach 1
count 1 "$left"

# --- nothing of it is cleaned away or forgotten, whatever is asked ---

for how in '' '--all --yes'; do
  # shellcheck disable=SC2086 # nothing, or words
  run -e 4 hosts clean $how
  has_err '2 tasks may still run at lab h1: nothing was removed, on no host'
  has_err 'ended by the next `dkrun run` that reaches the host'
done
host_link 1 up
all_run || fail "they do not run any more: what ended them?"
run -e 4 hosts clean
has_err '2 tasks may still run at lab h1: nothing was removed, on no host'
all_run || fail "ended by a command that said that it did nothing"

# --- a run that reaches another host only does not forget it; one that reaches it ends it ---

providers '"h2"' 5s
run run short.dk --foreground
run status 1
count 1 "$left"
sed -i 's/uname -n/uname -n; :/' short.dk
providers '"h1"' 5s
run run short.dk --foreground
wait_until runs_not long
run status 1
lacks 'may still run'
run hosts clean
has 'lab h1: '
has ' freed'
