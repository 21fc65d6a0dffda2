#!/bin/bash
# ^C: a run that is stopped says so, keeps what is done, and goes on later; one that is killed leaves its task to the agent.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put stop.dk <<'EOF'
grid g { k in 1..4 }
task t over g {
  pass = ["GO"]
  run = """
    echo started {{k}} >> "$GO.started"
    if [ {{k}} != 1 ]; then while [ ! -e "$GO" ]; do sleep 0.05; done; fi
  """
}
EOF
commit
export GO=$room/go

start() {
  set -m # a process group of its own, so that SIGINT is not ignored in it
  "$dkrun" run -j 2 --plain >"$room/run.out" 2>&1 </dev/null &
  engine=$!
  set +m
}
wait_for() { # text, file
  until grep -qF -- "$1" "$2" 2>/dev/null; do
    kill -0 "$engine" 2>/dev/null || fail "the engine ended: $(cat "$room/run.out")"
    sleep 0.05
  done
}

start
wait_for 'done t1' "$room/run.out"
wait_for 'started 2' "$GO.started"
kill -INT "$engine"
code=0
wait "$engine" || code=$?
[ "$code" -eq 130 ] || fail "exit code $code after SIGINT: $(cat "$room/run.out")"
grep -q 'interrupted' "$room/run.out" || fail "no word of it: $(cat "$room/run.out")"
run status
has '1  interrupted'

# Killed hard: the task goes on, and the next run takes it over instead of starting it again.
: >"$GO.started"
start
wait_for 'started 2' "$GO.started"
until "$dkrun" status 2 2>/dev/null | grep -q '1 cached, 2 running'; do # starts are written down some moments later
  kill -0 "$engine" 2>/dev/null || fail "the engine ended: $(cat "$room/run.out")"
  sleep 0.05
done
kill -KILL "$engine"
wait "$engine" 2>/dev/null || true
run status
has '2  interrupted'
has '0 ran, 1 cached, 2 running when it was lost'
run status 2
has 'interrupted: 1 of 4 ended, 1 cached, 2 running when it was lost'
touch "$GO"
run run
has '0 failed'
[ "$(grep -c 'started 2' "$GO.started")" -eq 1 ] || fail "task 2 was started twice: $(cat "$GO.started")"
run run
has 'nothing to do: 4 cached'
