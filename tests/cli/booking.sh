#!/bin/bash
# Two repositories, two engines, one machine: over both there are never more tasks at once than processors, both finish, and a wide task
# gets its processors while narrow ones of the other come and go.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cpus=$(nproc)
export MARKS=$room/marks
mkdir -p "$MARKS"

# A task counts the processors that are in use while it runs (itself too); `wide` takes all.
narrow() {
  put e.dk <<EOF
grid g { i in 1..$1 }
task narrow over g {
  pass = ["MARKS"]
  run  = """
    touch \$MARKS/at.\$DK_ATTEMPT.{{i}}
    ls \$MARKS | grep -c '^at' >> \$MARKS/seen
    sleep 0.05
    rm \$MARKS/at.\$DK_ATTEMPT.{{i}}
  """
}
EOF
  commit
}
repo
narrow 40
mkdir "$room/other"
cd "$room/other"
git -c init.defaultBranch=main init -q
narrow 40
cat >>e.dk <<EOF
task wide {
  pass  = ["MARKS"]
  needs = { cpus = $cpus }
  run   = """
    for n in \$(seq $cpus); do touch \$MARKS/at.\$DK_ATTEMPT.\$n; done
    ls \$MARKS | grep -c '^at' >> \$MARKS/seen
    sleep 0.05
    rm \$MARKS/at.\$DK_ATTEMPT.*
  """
}
EOF
commit

cd "$room/repo"
"$dkrun" run --plain >"$room/first" 2>&1 </dev/null &
first=$!
cd "$room/other"
"$dkrun" run --plain >"$room/second" 2>&1 </dev/null || fail "the second ended with $?: $(<"$room/second")"
wait "$first" || fail "the first ended with $?: $(<"$room/first")"
grep -q 'done: 40 ran' "$room/first" || fail "$(<"$room/first")"
grep -q 'done: 41 ran' "$room/second" || fail "$(<"$room/second")"
[ "$(wc -l <"$MARKS/seen")" -eq 81 ] || fail "$(wc -l <"$MARKS/seen") tasks looked around"
most=$(sort -n "$MARKS/seen" | tail -1)
[ "$most" -le "$cpus" ] || fail "$most processors in use at once, this machine has $cpus"

# Killed ones leave nothing booked.
put e.dk <<'EOF'
task long { pass = ["MARKS"]  run = "touch $MARKS/long; sleep 600" }
EOF
commit
"$dkrun" run --plain >/dev/null 2>&1 </dev/null &
engine=$!
wait_until test -e "$MARKS/long"
kill -KILL "$engine"
wait "$engine" 2>/dev/null || true
stop_others
stop_agents
stop_others
cd "$room/repo"
sed -i 's/1..40/1..44/' e.dk
run run --plain
has 'done: 4 ran, 40 cached'

# What no wait can bring is said before anything starts.
put g.dk <<'EOF'
grid g { n in [0, 60] }
task train over g {
  needs = { gpus = n }
  run   = "echo {{n}}"
}
EOF
run -e 4 run g.dk
has_err 'needs 60 gpus, this machine has '
has_err 'n=60'
lacks 'done'
run -e 4 plan g.dk
has_err 'needs 60 gpus, this machine has '
put m.dk <<'EOF'
task big {
  needs = { memory = 900TiB }
  run   = "echo never"
}
EOF
run -e 4 run m.dk
has_err 'needs 900 TiB of memory, this machine has '
