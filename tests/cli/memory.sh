#!/bin/bash
# Memory: a task that takes more than it said is ended as `oom`; with `grow` it is tried again with more, and what it used of its retries
# is not given back when the engine is killed. `cgroups`: just what the kernel holds (cgroups.sh).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo

# Takes so many MiB and keeps them for a moment.
put eat.py <<'EOF'
import sys, time
blocks = []
for _ in range(int(sys.argv[1])):
    blocks.append(bytearray(b"x" * 1048576))
    if len(blocks) % 16 == 0:
        time.sleep(0.01)
time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 1.5)
print("ate", len(blocks))
EOF

put grow.dk <<'EOF'
task eat {
  code  = ["eat.py"]
  needs = { memory = 64MiB }
  retry { grow = { memory = 2 } }
  run   = "python3 eat.py 150"
}
EOF
commit
export MARKS=$room/marks
mkdir -p "$MARKS"

watched() {
  # --- more at each try ---
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

  # Without `grow` as often as `oom` says, with what it needs.
  put same.dk <<'EOF'
task eat {
  code  = ["eat.py"]
  needs = { memory = 32MiB }
  retry { oom = 1 }
  run   = "python3 eat.py 100"
}
EOF
  run -e 1 run same.dk
  has 'attempt 2 follows'
  lacks 'follows with'
  has '2 attempts'
  has 'its limit is 32 MiB'

  # --- tries are counted over engines ---
  put tries.dk <<'EOF'
task t {
  pass  = ["MARKS"]
  retry { exit = [75] }
  run   = "date >> $MARKS/tries; exit 75"
}
EOF
  engine_pid() { sed 's/ .*//' .dkrun/lock; }
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
}
[ "${1-}" = cgroups ] || watched

# --- held by the kernel, where dkrun may make cgroups ---
export DKRUN_CGROUP=${DK_TEST_CGROUP:-auto}
run doctor
if [[ $out != *'`needs { memory }` is enforced by cgroup v'* ]]; then
  grep '`needs { memory }`' <<<"$out"
  echo "limits by cgroups are not tried here"
  [ "${1-}" = cgroups ] && exit 77
  exit 0
fi
groups=$(sed -n 's/.*is enforced by cgroup v[12], in \(.*\)/\1/p' <<<"$out")
left() { find "$groups" -mindepth 1 -maxdepth 1 -name 'dkrun-*-*' 2>/dev/null; }
[ -z "$(left)" ] || fail "doctor left a group: $(left)"
stop_agents # they were started without groups

# Not for a moment more than it said, however fast it is; more at each try.
sed -i 's/memory = [0-9]*MiB/memory = 24MiB/; s/eat.py 150/eat.py 30 0/' grow.dk
run run grow.dk
has 'attempt 2 follows with 48 MiB of memory'
lacks 'attempt 3'
has 'done: 1 ran'
put fast.dk <<'EOF'
task eat {
  needs = { memory = 24MiB }
  run   = "python3 -c 'len(bytearray(b\"x\") * 500000000)'"
}
EOF
run -e 1 run fast.dk
has ', its limit is 24 MiB (cgroup v'
used=$(sed -n 's/.*it used \([0-9]*\) MiB of memory.*/\1/p' <<<"$out" | head -1)
[ "${used:-0}" -le 24 ] || fail "it used $used MiB"

# A part of it that is ended takes the rest along, on v1 too.
put part.dk <<'EOF'
task eat {
  needs   = { memory = 24MiB }
  timeout = 60s
  run     = "python3 -c 'len(bytearray(b\"x\") * 500000000)' || true; sleep 100"
}
EOF
run -e 1 run part.dk
has 'killed: out of memory'
lacks 'timeout'

# What gets away from its keeper does not get out of its group: it is ended when the next keeper comes.
put away.dk <<'EOF'
task away {
  needs = { memory = 64MiB }
  pass  = ["MARKS"]
  retry { lost = 0 }
  run   = """
    env -i /usr/bin/setsid --fork /bin/sh -c 'echo $$ > '$MARKS/away'; exec sleep 600'
    while [ ! -s $MARKS/away ]; do sleep 0.02; done
    touch $MARKS/is_away
    sleep 600
  """
}
EOF
"$dkrun" run --plain away.dk >"$room/away.out" 2>&1 </dev/null &
until [ -e "$MARKS/is_away" ]; do sleep 0.05; done
away=$(<"$MARKS/away")
[ -n "$(left)" ] || fail "there is no group while it runs"
grep -q "$(basename "$(left)")" "/proc/$away/cgroup" || fail "it is not in its group: $(cat "/proc/$away/cgroup")"
for pid in /proc/[0-9]*; do
  [[ $(tr '\0' ' ' 2>/dev/null <"$pid/cmdline") == *keeper*"$room"* ]] || continue
  [[ $(cat "$pid"/task/*/children 2>/dev/null) ]] || continue
  kill -KILL "${pid#/proc/}"
done
wait $! && fail "it did not fail: $(<"$room/away.out")"
grep -q 'its keeper (process' "$room/away.out" || fail "$(<"$room/away.out")"
[ ! -e "/proc/$away" ] || [ "$(sed -n 's/^State:\s*\(.\).*/\1/p' "/proc/$away/status")" = Z ] || fail "process $away goes on"
for ((n = 0; n < 250; n++)); do [ -n "$(left)" ] || break; sleep 0.02; done
[ -z "$(left)" ] || fail "groups are left: $(left)"
