#!/bin/bash
# kill -9 of the engine, the agent and keepers at random instants: in the end everything is done, each task's effect is there once, and no
# process is left. KILLS: how often (default 6); SEED: which instants.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
RANDOM=${SEED:-1}
kills=${KILLS:-6} tasks=60
repo
put e.dk <<EOF
grid g { i in 1..$tasks }
task t over g {
  pass    = ["EFFECTS"]
  retry   { lost = 50 }
  outputs { o = "o.txt" }
  run = """
    sleep 0.1
    echo \$DK_ATTEMPT >> \$EFFECTS/{{i}}
    echo {{i}} > {{outputs.o}}
  """
}
task sum {
  inputs  { all = gather(t.o) }
  metrics { total = match(stdout, '([0-9]+)') }
  run = "cat {{inputs.all}} | awk '{ n += \$1 } END { print n }'"
}
report { table { from = sum  columns = [total] } }
EOF
commit
export EFFECTS=$room/effects
mkdir -p "$EFFECTS"

agents() { # pids of this room's agent (serve) or keepers
  local pid
  for pid in /proc/[0-9]*; do
    [[ $(readlink "$pid/exe" 2>/dev/null) == */dkagent ]] || continue
    tr '\0' ' ' <"$pid/cmdline" 2>/dev/null | grep -q -- "$1.*$room" && echo "${pid#/proc/}"
  done
  true
}

keeper_kills=0
for ((n = 0; n < kills; n++)); do
  "$dkrun" run -j 4 --plain >"$room/run.out" 2>&1 </dev/null &
  engine=$!
  sleep "0.$((RANDOM % 8 + 1))"
  case $((RANDOM % 3)) in
  0) ;;
  1) for pid in $(agents serve); do kill -KILL "$pid" 2>/dev/null || true; done ;;
  2)
    mapfile -t keepers < <(agents keeper)
    if [ ${#keepers[@]} -gt 0 ]; then
      kill -KILL "${keepers[RANDOM % ${#keepers[@]}]}" 2>/dev/null || true
      keeper_kills=$((keeper_kills + 1))
    fi
    ;;
  esac
  sleep "0.$((RANDOM % 3))"
  kill -KILL "$engine" 2>/dev/null || true
  wait "$engine" 2>/dev/null || true
done

run run -j 4 # whether anything was left for it is chance; that nothing failed is its exit code
run results
has $((tasks * (tasks + 1) / 2))
run run
has "nothing to do: $((tasks + 1)) cached"

# A task whose keeper was killed runs again: so many effects more than tasks, and no more. One attempt never has its effect twice.
total=$(cat "$EFFECTS"/* | wc -l)
[ "$(find "$EFFECTS" -type f | wc -l)" -eq "$tasks" ] || fail "effects of $(find "$EFFECTS" -type f | wc -l) tasks"
[ "$total" -le $((tasks + keeper_kills)) ] || fail "$total effects of $tasks tasks after $keeper_kills killed keepers"
[ "$(cat "$EFFECTS"/* | sort | uniq -d | wc -l)" -eq 0 ] || fail 'an attempt had its effect twice'

# No task's process is left.
for pid in /proc/[0-9]*; do
  environment=$({ tr '\0' '\n' <"$pid/environ"; } 2>/dev/null) || continue
  if grep -qxF "EFFECTS=$EFFECTS" <<<"$environment" && grep -q '^DK_ATTEMPT=' <<<"$environment"; then
    fail "process ${pid#/proc/} of a task is left"
  fi
done
