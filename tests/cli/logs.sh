#!/bin/bash
# logs: kept ones, streams, tails, selections, following a running task.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
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
"$dkrun" run slow.dk -q >"$room/slow.out" 2>&1 </dev/null &
engine=$!
until "$dkrun" logs t1 2>/dev/null | grep -q first; do
  kill -0 "$engine" 2>/dev/null || fail "the engine ended: $(cat "$room/slow.out")"
  sleep 0.05
done
"$dkrun" logs t1 -f >"$room/followed" 2>"$room/err" </dev/null &
follower=$!
until grep -q first "$room/followed"; do sleep 0.05; done
grep -q second "$room/followed" && fail "it cannot know that yet"
touch "$GO"
wait "$follower" || fail "logs -f failed: $(cat "$room/err")"
wait "$engine" || fail "the slow run failed: $(cat "$room/slow.out")"
[ "$(cat "$room/followed")" = $'first\nsecond' ] || fail "followed: $(cat "$room/followed")"
run logs t1 -f
is $'first\nsecond'
