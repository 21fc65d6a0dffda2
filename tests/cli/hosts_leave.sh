#!/bin/bash
# Hosts that are taken out of the file of providers while a run goes on: what runs there goes on for as long as the connection holds, and
# is started elsewhere when it does not; people read which it is.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/hosts.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/hosts.sh"
at_end+=(hosts_down)
hosts_up 2

mkdir -p "$XDG_CONFIG_HOME/dkrun"
providers() { # hosts
  echo "provider lab { kind = \"ssh\"  hosts = [$1]  config = \"$hosts/ssh_config\"  leave = 0  lost_after = 60s }" >"$room/providers"
  mv "$room/providers" "$XDG_CONFIG_HOME/dkrun/providers.dk"
}
start() {
  "$dkrun" run "$1" --foreground --plain >"$room/log" 2>&1 </dev/null &
  engine=$!
}
said() { grep -q -- "$1" "$room/log" || { is_there "$engine" || fail "the run ended: $(cat "$room/log")"; return 1; }; }
never_said() { ! grep -q -- "$1" "$room/log" || fail "it says \`$1\`: $(cat "$room/log")"; }
began() { host_exec "$1" cat "/var/tmp/began.$2" 2>/dev/null | wc -l; }
has_begun() { [ "$(began "$1" "$2")" -gt 0 ]; }
go() { for i in 1 2; do host_exec "$i" touch "/var/tmp/go.$1"; done; }
task() { # name, rows
  put "$1.dk" <<END
grid g { x in 1..$2 }
task $1 over g {
  outputs { out = "out" }
  run = "echo {{x}} >> /var/tmp/began.$1; until [ -e /var/tmp/go.$1 ]; do sleep 0.1; done; head -c 3000000 /dev/urandom > out"
}
task sum {
  inputs { all = gather($1.out) }
  run = "find -L {{inputs.all}} -name out -type f | wc -l"
}
END
  commit
}
all_hosts='"h1", "h2"'
repo

# --- it is there: what runs there goes on, nothing new starts, and what it made is used ---

task stay 12
providers "$all_hosts"
start stay.dk
wait_until has_begun 1 stay
wait_until has_begun 2 stay
providers '"h1"'
wait_until said '^h2: no file of providers names it any more: what runs there goes on, and it gets no new tasks$'
is_leaving() { "$dkrun" hosts | grep -qE 'h2 +leaving'; }
wait_until is_leaving
run hosts
has 'no file of providers names it any more: what runs there goes on'
lacks 'down'
for which in '' 1; do
  # shellcheck disable=SC2086 # nothing, or one word
  run status $which
  has '  h2: no file of providers names it any more: what runs there goes on, and it gets no new tasks'
done
before=$(began 2 stay)
go stay
wait "$engine" || fail "the run failed: $(cat "$room/log")"
grep -q '13 ran, 0 cached, 0 failed' "$room/log" || fail "$(cat "$room/log")"
[ "$(began 2 stay)" -eq "$before" ] || fail "something new started there: $(began 2 stay), not $before"
[ "$(($(began 1 stay) + $(began 2 stay)))" -eq 12 ] || fail "not 12 starts: $(began 1 stay) and $(began 2 stay)"
for what in down 'connecting again' 'taken over' 'attempt' 'elsewhere'; do never_said "$what"; done

# --- and then its connection breaks: that is said, and what ran there is started elsewhere ---

task breaks 6
providers "$all_hosts"
start breaks.dk
wait_until has_begun 1 breaks
wait_until has_begun 2 breaks
providers '"h1"'
wait_until said '^h2: no file of providers names it any more: what runs there goes on'
host_kill_sshd 2
wait_until said '^h2: .*; it is not connected again, as no file of providers names it any more: what ran there is started elsewhere$'
is_removed() { "$dkrun" hosts | grep -q 'h2 .*removed'; } # it is written down up to a second after it was said
wait_until is_removed
run hosts
has 'may still run there'
go breaks
wait "$engine" || fail "the run failed: $(cat "$room/log")"
grep -q '7 ran, 0 cached, 0 failed' "$room/log" || fail "$(cat "$room/log")"
[ "$(began 1 breaks)" -eq 6 ] || fail "not all of them were started on h1: $(began 1 breaks)"
never_said 'connecting again'
host_start_sshd 2

# --- it is away when it is taken out: the same ---

task away 6
providers "$all_hosts"
start away.dk
wait_until has_begun 1 away
wait_until has_begun 2 away
host_kill_sshd 2
wait_until said '^h2: .*connecting again'
providers '"h1"'
wait_until said '^h2: no file of providers names it any more, and it is not connected: what may still run there is started elsewhere$'
go away
wait "$engine" || fail "the run failed: $(cat "$room/log")"
grep -q '7 ran, 0 cached, 0 failed' "$room/log" || fail "$(cat "$room/log")"
host_start_sshd 2

# --- put back before its tasks have ended: as if nothing had been ---

task back 8
providers "$all_hosts"
start back.dk
wait_until has_begun 1 back
wait_until has_begun 2 back
providers '"h1"'
wait_until said '^h2: no file of providers names it any more: what runs there goes on'
providers "$all_hosts"
is_back() { "$dkrun" hosts | grep -qE 'h2 +up '; }
wait_until is_back
go back
wait "$engine" || fail "the run failed: $(cat "$room/log")"
grep -q '9 ran, 0 cached, 0 failed' "$room/log" || fail "$(cat "$room/log")"
[ "$(($(began 1 back) + $(began 2 back)))" -eq 8 ] || fail "not 8 starts"
never_said attempt
