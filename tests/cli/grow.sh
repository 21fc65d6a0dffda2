#!/bin/bash
# A task that ran out of memory is tried again, with `grow` with more; and what a task used of its retries is not given back when the
# engine is killed.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo

eater

# --- more at each try ---
put grow.dk <<'EOF'
task eat {
  code  = ["eat.pl"]
  needs = { memory = 64MiB }
  retry { grow = { memory = 2 } }
  run   = "perl eat.pl 150"
}
EOF
commit
run show grow.dk eat
has '64 MiB memory (x2 after each oom, 3 times)'
run run grow.dk
has 'attempt 2 follows with 128 MiB of memory'
has 'attempt 3 follows with 256 MiB of memory'
lacks 'attempt 4'
has 'done: 1 ran'
run logs eat
has 'ate 150'
# Memory is no part of what a result is known by.
sed -i 's/memory = 64MiB/memory = 96MiB/' grow.dk
run run grow.dk
has '1 cached'

# --- tries are counted over engines ---
put tries.dk <<'EOF'
task t {
  pass  = ["MARKS"]
  retry { exit = [75] }
  run   = "date >> $MARKS/tries; exit 75"
}
EOF
export MARKS=$room/marks
mkdir -p "$MARKS"
run run -d tries.dk
for n in 1 2; do
  until [ -e "$MARKS/tries" ] && [ "$(wc -l <"$MARKS/tries")" -ge "$n" ]; do sleep 0.02; done
  [ "$n" -eq 1 ] || sleep 0.3 # once before it has heard, likely; once while it waits for the next try
  kill -KILL "$(engine_pid)"
  "$dkrun" attach --plain >"$room/attach.$n" 2>&1 </dev/null & # starts the next one
done
wait
run -e 1 attach --plain
has '4 attempts'
[ "$(wc -l <"$MARKS/tries")" -eq 4 ] || fail "$(wc -l <"$MARKS/tries") tries"
