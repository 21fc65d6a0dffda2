#!/bin/bash
# logs and failures of tasks that run at hosts: read there while they run, kept here when they have ended, no byte lost or doubled.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/hosts.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/hosts.sh"

at_end+=(hosts_down)
hosts_up 1
mkdir -p "$XDG_CONFIG_HOME/dkrun"
echo "provider lab { kind = \"ssh\" hosts = [\"h1\"] config = \"$hosts/ssh_config\" lost_after = 60s }" >"$XDG_CONFIG_HOME/dkrun/providers.dk"
repo

# Runs FILE in the background, until t1 has said WORD.
begin() {
  "$dkrun" run "$1" -q >"$room/engine.out" 2>&1 </dev/null &
  engine=$!
  until "$dkrun" logs t1 2>/dev/null | grep -q "$2"; do
    is_there "$engine" || fail "the engine ended: $(cat "$room/engine.out")"
    sleep 0.1
  done
}
follow() {
  : >"$room/followed"
  "$dkrun" logs t1 -f "$@" >"$room/followed" 2>"$room/err" </dev/null &
  follower=$!
}
go() { host_exec 1 touch "/var/tmp/go.$1"; }

# Two streams; what is written in pieces that fit nothing, over many looks, and last words right before the end.
put slow.dk <<'END'
task slow {
  run = """
    echo first
    echo warned >&2
    while [ ! -e /var/tmp/go.1 ]; do sleep 0.05; done
    for i in 1 2 3 4 5 6 7 8; do seq $((i * 10000)) $((i * 10000 + 9999)); printf 'part of a line %s ' $i; sleep 0.3; done
    echo last
    seq 1 300000
  """
}
END
commit
begin slow.dk first
run logs t1
is $'first\nwarned'
run logs t1 --out --tail 1
is first
run logs t1 --err
is warned
follow --out
until grep -q first "$room/followed"; do sleep 0.05; done
go 1
until grep -q 10100 "$room/followed"; do sleep 0.05; done
run logs t1 --out --tail 3
[ "$(wc -l <<<"$out")" -ge 3 ] || fail "the tail is not three lines"
wait "$follower" || fail "logs -f failed: $(cat "$room/err")"
wait "$engine" || fail "the run failed: $(cat "$room/engine.out")"
"$dkrun" logs t1 --out </dev/null | cmp - "$room/followed" || fail "what was followed is not what was kept"
[ "$(tail -1 "$room/followed")" = 300000 ] || fail "the end is missing"
[ "$(grep -cx 300000 "$room/followed")" -eq 1 ] || fail "the end came twice"

# The host cannot be reached for a while: said, and it goes on where it was left. Another look in the meantime says so too.
put cut.dk <<'END'
task cut {
  run = """
    echo second
    while [ ! -e /var/tmp/go.2 ]; do sleep 0.05; done
    seq 1 1000
    while [ ! -e /var/tmp/go.3 ]; do sleep 0.05; done
    echo last
  """
}
END
commit
begin cut.dk second
follow
until grep -q second "$room/followed"; do sleep 0.05; done
host_kill_sshd 1
go 2
wait_until grep -q 'h1 cannot be reached' "$room/err"
is_there "$follower" || fail "logs -f ended: $(cat "$room/err")"
run -e 4 logs t1
has_err 'h1 cannot be reached'
"$dkrun" logs t1 -f --tail 2 >"$room/tail" 2>"$room/tail.err" </dev/null &
tail=$!
wait_until grep -q 'h1 cannot be reached' "$room/tail.err"
host_start_sshd 1
until grep -qx 1000 "$room/followed"; do sleep 0.05; is_there "$follower" || fail "logs -f ended: $(cat "$room/err")"; done
until grep -qx 1000 "$room/tail"; do sleep 0.05; is_there "$tail" || fail "logs -f ended: $(cat "$room/tail.err")"; done
go 3
wait "$follower" || fail "logs -f failed: $(cat "$room/err")"
wait "$tail" || fail "logs -f failed: $(cat "$room/tail.err")"
wait "$engine" || fail "the run failed: $(cat "$room/engine.out")"
cmp <(echo second; seq 1 1000; echo last) "$room/followed" || fail "followed: $(head -5 "$room/followed")"
cmp <(echo 999; echo 1000; echo last) "$room/tail" || fail "tail: $(cat "$room/tail")"
[ "$(grep -c 'cannot be reached' "$room/err")" -eq 1 ] || fail "said more than once: $(cat "$room/err")"

# More than is kept: the middle is left out, in the live log as in the kept one, and zeros that a task writes are its own.
put much.dk <<'END'
task much {
  run = """
    head -c 100000 /dev/zero
    echo begin
    i=0
    while [ $i -lt 90 ]; do head -c 1000000 /dev/zero | tr '\0' x; i=$((i + 1)); sleep 0.02; done
    echo; echo middle
    while [ ! -e /var/tmp/go.4 ]; do sleep 0.05; done
    echo end
  """
}
END
commit
begin much.dk middle
"$dkrun" logs t1 >"$room/live" </dev/null
[ "$(head -c 100000 "$room/live" | tr -d '\0' | wc -c)" -eq 0 ] || fail "zeros were taken for a hole"
grep -aq 'begin' "$room/live" || fail "the begin is not there"
grep -aqE '\[[0-9]+ bytes left out\]' "$room/live" || fail "what was left out is not said"
[ "$(wc -c <"$room/live")" -lt 80000000 ] || fail "the hole was shown"
[ "$(tail -1 "$room/live")" = middle ] || fail "the end is not there"
follow --tail 1
until grep -aqx middle "$room/followed"; do sleep 0.05; done
go 4
wait "$follower" || fail "logs -f failed: $(cat "$room/err")"
wait "$engine" || fail "the run failed: $(cat "$room/engine.out")"
[ "$(tail -1 "$room/followed")" = end ] || fail "followed: $(tail -c 100 "$room/followed")"
run logs t1 --tail 2
is $'middle\nend'

# An engine that was killed: nobody can read there, until somebody goes on with the run.
put gone.dk <<'END'
task gone {
  run = """
    echo third
    while [ ! -e /var/tmp/go.5 ]; do sleep 0.05; done
    echo last
  """
}
END
commit
"$dkrun" run gone.dk --detach >"$room/out" </dev/null
until "$dkrun" logs t1 2>/dev/null | grep -q third; do sleep 0.1; done
follow
until grep -q third "$room/followed"; do sleep 0.05; done
kill -KILL "$(engine_pid)"
wait "$follower" || fail "logs -f failed: $(cat "$room/err")"
grep -q 'no engine is at work: its end is known at the next `dkrun run`' "$room/err" || fail "no word of the end: $(cat "$room/err")"
run -e 4 logs t1
has_err 'no engine is at work'
has_err 'dkrun attach'
"$dkrun" attach >"$room/attach" 2>&1 </dev/null &
attach=$!
until "$dkrun" logs t1 2>/dev/null | grep -q third; do sleep 0.1; done
go 5
wait "$attach" || fail "attach failed: $(cat "$room/attach")"
run logs t1
is $'third\nlast'

# What went wrong is shown at the end of the run, however much was written.
put bad.dk <<'END'
task little { run = "echo alas >&2; exit 3" }
task more {
  run = "seq 1 20000 >&2; echo the last of many >&2; exit 4"
}
task most {
  run = """
    i=0
    while [ $i -lt 80 ]; do head -c 1000000 /dev/zero | tr '\0' x >&2; i=$((i + 1)); sleep 0.02; done
    echo >&2; echo the last of too many >&2; exit 5
  """
}
END
commit
run -e 1 run bad.dk
has '| alas'
has '| 20000'
has '| the last of many'
has '| the last of too many'
run logs more --err
[ "$(wc -l <<<"$out")" -eq 20001 ] || fail "the log is not whole"
run fsck
