#!/bin/bash
# logs: kept ones, streams, tails, selections, following a running task.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# Runs FILE in the background, and follows t1 when it has said WORD.
run_and_follow() {
  "$dkrun" run "$1" -q >"$room/engine.out" 2>&1 </dev/null &
  engine=$!
  until "$dkrun" logs t1 2>/dev/null | grep -q "$2"; do
    kill -0 "$engine" 2>/dev/null || fail "the engine ended: $(cat "$room/engine.out")"
    sleep 0.05
  done
  "$dkrun" logs t1 -f >"$room/followed" 2>"$room/err" </dev/null &
  follower=$!
  until grep -q "$2" "$room/followed"; do sleep 0.05; done
}

small
run run -q

run logs t3
is $'score=120.50\n--- stderr\nnote of 1'
run logs train x=1 y=20
is $'score=120.50\n--- stderr\nnote of 1'
run logs t3 --out
is 'score=120.50'
run logs t3 --err
is 'note of 1'
run logs train x=2
has '==> t4 train x=2 y=10'
has '==> t5 train x=2 y=20'
run logs t3 --run 1 --tail 0
is '--- stderr'
run -e 4 logs t3 --run 5
has_err 'no run 5'
run -e 2 logs best
has_err 'is a pick'
run -e 2 logs t44
run -e 2 logs train -f
has_err 'follows one task'

# Bytes to a pipe are as they were; more than fits into the result too.
put bytes.dk <<'EOF'
task bytes { run = """
  printf 'a\033[31m\000\377b\n'
  seq 1 20000
""" }
EOF
run run bytes.dk -q
"$dkrun" logs t1 >"$room/bytes" </dev/null
{ printf 'a\033[31m\000\377b\n'; seq 1 20000; } | cmp - "$room/bytes" || fail "the log's bytes changed"
run logs t1 --tail 2
is $'19999\n20000'

# Following: what is there at once, the rest when it comes, and the end with the task.
put slow.dk <<'EOF'
task slow {
  pass = ["GO"]
  run = """
    echo first
    while [ ! -e "$GO" ]; do sleep 0.05; done
    echo second
  """
}
EOF
export GO=$room/go
run_and_follow slow.dk first
grep -q second "$room/followed" && fail "it cannot know that yet"
touch "$GO"
wait "$follower" || fail "logs -f failed: $(cat "$room/err")"
wait "$engine" || fail "the slow run failed: $(cat "$room/engine.out")"
[ "$(cat "$room/followed")" = $'first\nsecond' ] || fail "followed: $(cat "$room/followed")"
run logs t1 -f
is $'first\nsecond'

# An engine that was killed: its tasks go on, and the slot's log file is used by the next of them. A follower ends with its own task.
put two.dk <<'EOT'
grid g { k in 1..3 }
task two over g {
  pass = ["GO"]
  run = """
    seq {{k}}000 $(({{raw(k)}} * 1000 + 20 * {{raw(k)}}))
    touch "$GO.started.{{k}}"
    while [ ! -e "$GO.{{k}}" ]; do sleep 0.05; done
    echo last words of {{k}}
  """
}
EOT
stop_agents # the next one has a single slot, and the second order waits at it
cpu=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
taskset -c "$cpu" "$dkrun" run two.dk -q >"$room/two.out" 2>&1 </dev/null &
engine=$!
until [ -e "$GO.started.1" ]; do
  kill -0 "$engine" 2>/dev/null || fail "the engine ended: $(cat "$room/two.out")"
  sleep 0.05
done
until "$dkrun" logs t1 2>/dev/null | grep -q 1020; do sleep 0.05; done
"$dkrun" logs t1 -f >"$room/followed" 2>"$room/err" </dev/null &
follower=$!
until grep -q 1020 "$room/followed"; do sleep 0.05; done
kill -KILL "$engine"
wait "$engine" 2>/dev/null || true
touch "$GO.1"
code=0
wait "$follower" || code=$?
[ "$code" -eq 0 ] || fail "the follower's exit code is $code: $(cat "$room/err")"
grep -q 'its end is known at the next `dkrun run`' "$room/err" || fail "no word of the end: $(cat "$room/err")"
diff <(seq 1000 1020) <(grep -v 'last words of 1' "$room/followed") || fail "not what task 1 wrote"
wait_until test -e "$GO.started.2"
run logs t1
lacks 000
has_err "its slot runs another task now"
touch "$GO.2" "$GO.3"
run run two.dk -q
run logs t1 --tail 2
is $'1020\nlast words of 1'
run logs t1 --run 5 -f
has 'last words of 1'
lacks 2000

# Tried again: where the next attempt begins is marked.
put again.dk <<'EOF'
task again {
  pass  = ["GO"]
  retry { exit = [75] }
  run = """
    echo try
    if [ ! -e "$GO.once" ]; then
      while [ ! -e "$GO.first" ]; do sleep 0.05; done
      touch "$GO.once"
      exit 75
    fi
    while [ ! -e "$GO.second" ]; do sleep 0.05; done
    echo enough
  """
}
EOF
run_and_follow again.dk try
touch "$GO.first"
until grep -q 'attempt 2' "$room/followed"; do
  kill -0 "$follower" 2>/dev/null || fail "logs -f ended: $(cat "$room/followed" "$room/err")"
  sleep 0.05
done
touch "$GO.second"
wait "$follower" || fail "logs -f failed: $(cat "$room/err")"
wait "$engine" || fail "the run failed: $(cat "$room/engine.out")"
[ "$(cat "$room/followed")" = $'try\n--- attempt 2\ntry\nenough' ] || fail "followed: $(cat "$room/followed")"

# What ends while its log is read is read on, also when it is tried again by then: the reader waits at a full pipe meanwhile.
put ends.dk <<'EOF'
task ends {
  pass  = ["GO"]
  retry { exit = [75] }
  run = """
    seq 1 200000
    while [ ! -e "$GO.over" ]; do sleep 0.05; done
    echo the end of this try
    if [ ! -e "$GO.tried" ]; then
      touch "$GO.tried"
      exit 75
    fi
  """
}
EOF
"$dkrun" run ends.dk -q >"$room/engine.out" 2>&1 </dev/null &
engine=$!
until "$dkrun" logs t1 2>/dev/null | grep -x 200000 >/dev/null; do
  kill -0 "$engine" 2>/dev/null || fail "the engine ended: $(cat "$room/engine.out")"
  sleep 0.1
done
mkfifo "$room/full"
"$dkrun" logs t1 >"$room/full" 2>"$room/err" </dev/null &
reader=$!
exec 7<"$room/full"
read -r first <&7 # it has begun
touch "$GO.over"
wait "$engine" || fail "the run failed: $(cat "$room/engine.out")"
{ echo "$first"; cat <&7; } >"$room/read"
exec 7<&-
wait "$reader" || fail "logs failed: $(cat "$room/err")"
{ seq 1 200000; echo the end of this try; echo --- attempt 2; seq 1 200000; echo the end of this try; } | cmp - "$room/read" ||
  fail "read: $(grep -vxE '[0-9]+' "$room/read")"
[ ! -s "$room/err" ] || fail "said: $(cat "$room/err")"
