#!/bin/bash
# One machine by two names: one agent, so one of the names is used, which is said, and no task is lost by it, whatever happens to the way
# of the one or the other. Two machines that are copies of each other are two.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/hosts.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/hosts.sh"
at_end+=(hosts_down)
hosts_up 2
# hx is h1, hy is h2.
for i in 1 2; do
  sed "1i Host h$(tr 12 xy <<<$i)\n  HostName $(host_ip $i)" "$hosts/ssh_config" >"$room/ssh_config"
  cp "$room/ssh_config" "$hosts/ssh_config"
done

mkdir -p "$XDG_CONFIG_HOME/dkrun"
provider() { echo "provider $1 { kind = \"ssh\"  hosts = [$2]  config = \"${config:-$hosts/ssh_config}\"  ${3-} }"; }
providers() { "$@" >"$room/providers" && mv "$room/providers" "$XDG_CONFIG_HOME/dkrun/providers.dk"; }
start() {
  "$dkrun" run "$1" --foreground --plain >"$room/log" 2>&1 </dev/null &
  engine=$!
}
said() { grep -q -- "$1" "$room/log" || { is_there "$engine" || fail "the run ended: $(cat "$room/log")"; return 1; }; }
began() { host_exec 1 test -e "/var/tmp/began.$1"; }
go() { host_exec 1 touch "/var/tmp/go.$1"; }
# All of them, each started once, and nothing was taken over.
ends_well() { # task, number of tasks
  wait "$engine" || fail "the run failed: $(cat "$room/log")"
  grep -q "$2 ran, 0 cached, 0 failed" "$room/log" || fail "$(cat "$room/log")"
  if grep -qE 'taken over|attempt|lost' "$room/log"; then fail "$(cat "$room/log")"; fi
  [ "$(host_exec 1 cat "/var/tmp/began.$1" | wc -l)" -eq "$2" ] || fail "not started $2 times: $(host_exec 1 cat "/var/tmp/began.$1")"
}
task() { # name: waits there until it may end
  put "$1.dk" <<END
grid g { x in 1..6 }
task $1 over g {
  outputs { out = "out" }
  run = "echo {{x}} >> /var/tmp/began.$1; until [ -e /var/tmp/go.$1 ]; do sleep 0.1; done; head -c 2000000 /dev/urandom > out"
}
END
  commit
}
repo

# --- in one list; the one that comes second is told of, and is no more asked than others that cannot be reached ---

task list
providers provider lab '"h1", "hx"'
start list.dk
wait_until said '^h[1x]: this is the same machine as h[1x]: only one of them is used$'
wait_until said 'help: take this name out of providers.dk'
wait_until began list
sleep 3 # tries of the other one
run hosts
count 1 'no tasks'
has 'this is the same machine as h'
go list
ends_well list 6
run hosts
count 1 'no tasks'
count 1 'up '

# --- who had it before has it again, though the other is faster: what is kept there is known under its name ---

used=$(run hosts >/dev/null; "$dkrun" hosts | sed -n 's/^lab *\(h[1x]\) .*up .*/\1/p')
[ -n "$used" ] || fail "none is up: $("$dkrun" hosts)"
other=h1
[ "$used" = hx ] || other=hx
slow() { # host: its way is slower by a second
  sed "s|^Host $1\$|&\n  ProxyCommand sh -c 'sleep 1; exec ssh -F $hosts/ssh_config -W %h:%p h2'|" "$hosts/ssh_config"
}
slow "$used" >"$room/slow"
task again
config=$room/slow providers provider lab '"hx", "h1"'
start again.dk
wait_until said "^$other: this is the same machine as $used: only one of them is used\$"
wait_until began again

# --- its connection breaks: nobody comes between ---

host_kill_sshd 1
host_start_sshd 1
wait_until said "^$used: it is there again"

# --- an engine that dies, and the next one: tasks go on under the name that had them ---

kill -KILL "$engine"
wait "$engine" 2>/dev/null || true
start again.dk
wait_until said "^$other: this is the same machine as $used"

go again
ends_well again 6

# --- in two providers that give it other limits: the agent is not started anew for the second name ---

task limits
providers eval 'provider lab "\"h1\""; provider more "\"hx\"" "nice = 5"'
start limits.dk
wait_until said '^h[1x]: this is the same machine as h[1x] of provider `[a-z]*`: only one of them is used$'
wait_until began limits
serving() {
  local pid
  for pid in $(ip netns pids "$(host_space 1)"); do
    if { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -q '/dkagent-.* serve '; then echo "$pid"; fi
  done
}
before=$(serving)
[ "$(wc -l <<<"$before")" -eq 1 ] || fail "not one agent: $before"
sleep 3
[ "$(serving)" = "$before" ] || fail "the agent was started anew"

# --- the one that is used is taken out of the file: the other one is used when what runs there has ended, which is not started again ---

go limits
ends_well limits 6
task taken
used=$(sed -n 's/.*this is the same machine as \(h[1x]\) .*/\1/p' "$room/log" | head -n 1)
start taken.dk
wait_until said "this is the same machine as $used "
wait_until began taken
if [ "$used" = h1 ]; then providers provider more '"hx"' 'nice = 5'; else providers provider lab '"h1"'; fi
wait_until said "^$used: no file of providers names it any more: what runs there goes on, and it gets no new tasks\$"
sleep 3 # tries of the other one
go taken
ends_well taken 6
said '^h[1x]: nothing runs there any more: its connection is closed$'

# --- before a run, and asked ---

providers provider lab '"h1", "hx", "h2"'
run -e 4 providers check
count 1 'no tasks  lab hx  this is the same machine as h1: only one of them is used'
has 'ok        lab h1'
has 'ok        lab h2'
has '2 of 3 hosts are fine'
run hosts --ask
count 1 'no tasks'
has 'this is the same machine as h1'

# --- no two hosts that are alike are taken for one: all but the boot is the same ---

host_exec 1 sh -c 'cat /etc/machine-id' >"$room/id" 2>/dev/null || true
put both.dk <<'END'
grid g { x in 1..12 }
task both over g { run = "uname -n; sleep 0.5; : {{x}}" }
END
commit
providers provider lab '"h1", "h2"'
run providers check
has 'ok: 1 provider, 2 hosts'
run run both.dk --foreground
has '12 ran, 0 cached, 0 failed'
for t in t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11 t12; do run logs $t; printf '%s\n' "$out"; done | sort -u | grep -cxE 'h1|h2' | grep -qx 2 || fail "one of two hosts was not used"
