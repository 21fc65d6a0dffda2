#!/bin/bash
# kill -9 of the engine, the agent and keepers at random instants of runs of 500 tasks, KILLS times each (default 100), and of all of
# them at once a fifth as often. After each run: everything is done, the results are an undisturbed run's, each effect is there once
# (of a task whose keeper was killed: once an attempt), no two attempts of a task were there at a time, every log has every line, and
# no process is left. SEED (printed) chooses the instants.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed & 32767))
quota=${KILLS:-100} tasks=${TASKS:-500} lines=40
echo "seed $seed"
repo
put e.dk <<EOF
param round = 0
grid g { i in 1..$tasks }
task t over g {
  pass    = ["EFFECTS"]
  retry   { lost = 50 }
  outputs { o = "o.txt" }
  metrics { square = match(stdout, 'square=([0-9]+)') }
  run = """
    exec 9>>"\$EFFECTS/{{round}}/{{i}}"
    flock -n 9 || echo overlap >&9
    echo "start \$DK_ATTEMPT" >&9
    i={{i}}
    [ \$((i % 10)) -ne 0 ] || (trap '' TERM; setsid sleep 1000 9>&- &) # what it leaves
    for n in \$(seq $lines); do
      echo "line \$n of \$i"
      [ "\$n" -ne 20 ] || sleep 0.0\$((i % 7))
    done
    echo 'end of stderr' >&2
    echo {{i}} > {{outputs.o}}
    echo "square=\$((i * i))"
    echo "end \$DK_ATTEMPT" >&9
  """
}
task sum {
  inputs  { all = gather(t.o) }
  outputs { all = "all.txt" }
  metrics { total = match(stdout, '^([0-9]+)') }
  run = """
    : {{round}}
    cat {{inputs.all}} | sort -n > {{outputs.all}}
    awk '{ n += \$1 } END { print n }' {{outputs.all}}
  """
}
report { table { from = t  columns = [i, square] }  table { from = sum  columns = [total] } }
EOF
commit
export EFFECTS=$room/effects

# --- processes ---

# Sets engine, agent, keepers, and of these busy: those that have a child, which is a task. A child that has not exec'd yet has its
# parent's words: only leaders of a session count.
look() {
  local dir pid words stat
  local -a fields
  local -A parents=() found=()
  engine='' agent='' keepers=() busy=()
  for dir in /proc/[0-9]*; do
    pid=${dir#/proc/}
    { read -r stat <"$dir/stat"; } 2>/dev/null || continue
    read -ra fields <<<"${stat##*) }"
    [ "${fields[0]}" = Z ] || parents[${fields[1]}]=1
    [ "${fields[3]}" = "$pid" ] || continue
    { mapfile -d '' -t words <"$dir/cmdline"; } 2>/dev/null || continue
    case "${words[*]}" in
    *"keeper --slot "*"$room/"*) found[$pid]=1 ;;
    *" serve "*"$room/"*) agent=$pid ;;
    *"dkrun engine "*) [[ $(readlink "$dir/cwd" 2>/dev/null) != "$room"* ]] || engine=$pid ;;
    esac
  done
  for pid in "${!found[@]}"; do
    keepers+=("$pid")
    [ -z "${parents[$pid]-}" ] || busy+=("$pid")
  done
}

# What tasks of this room left: by the environment they were started with.
orphans() {
  local dir
  local -a environment
  for dir in /proc/[0-9]*; do
    { mapfile -d '' -t environment <"$dir/environ"; } 2>/dev/null || continue
    [[ " ${environment[*]} " == *" EFFECTS=$EFFECTS "* && " ${environment[*]} " == *" DK_ATTEMPT="* ]] || continue
    echo "${dir#/proc/} $({ tr '\0' ' ' <"$dir/cmdline"; } 2>/dev/null)"
  done
}

# --- a run ---

round=0 run=0 n_keepers=0
is_on() { # also when it has no engine just now
  grep -q '"state": *"\(running\|stopped\)"' <<<"$("$dkrun" status "$run" --format json 2>/dev/null)"
}

# Attached until the run has ended: starts the engine again and again. A kill may hit it before it has said a word, several times in
# a row, and the command then gives up; a person would type it again.
watch_run() {
  while is_on; do "$dkrun" attach "$run" --plain >>"$room/attached" 2>&1 </dev/null || true; done
}

begin() {
  round=$((round + 1))
  mkdir -p "$EFFECTS/$round"
  run run -d -p round="$round"
  run=$(grep -o 'run [0-9]*' <<<"$out" | head -n 1 | tr -dc 0-9)
  watch_run &
  watcher=$!
}

results_of() { "$dkrun" results "$run" --format csv; }

check() { # how many keepers were killed with a task
  local starts file
  wait "$watcher" || fail "the watcher ended with $?"
  run status "$run"
  has "done: $((tasks + 1)) ran, 0 cached, 0 failed"
  run results "$run" --format csv
  [ "$round" -gt 1 ] || undisturbed=$out
  [ "$out" = "$undisturbed" ] || fail 'the results are not those of the undisturbed run'

  [ "$(find "$EFFECTS/$round" -type f | wc -l)" -eq "$tasks" ] || fail 'a task had no effect'
  ! grep -rl overlap "$EFFECTS/$round" || fail 'two attempts of a task ran at a time'
  [ "$(cat "$EFFECTS/$round"/* | sort | uniq -d | wc -l)" -eq 0 ] || fail 'an attempt was started twice'
  starts=$(cat "$EFFECTS/$round"/* | grep -c start)
  [ "$starts" -le $((tasks + $1)) ] || fail "$starts starts of $tasks tasks after $1 killed keepers"
  for file in "$EFFECTS/$round"/*; do
    [[ $(tail -n 1 "$file") == end* ]] || fail "the last attempt of task ${file##*/} did not end"
  done
  again=$((again + starts - tasks))

  "$dkrun" logs --run "$run" t >"$room/logs"
  awk -v lines="$lines" -v tasks="$tasks" '
    function close_one() {
      if (i && (n != lines || !squared || !stderr)) { print "log of t i=" i ": " n " lines"; bad = 1 }
    }
    /^==> / { close_one(); i = $0; sub(/.*i=/, "", i); sub(/[^0-9].*/, "", i); n = squared = stderr = 0; seen++; next }
    $0 == "line " n + 1 " of " i { n++ }
    /^square=/ { squared = $0 == "square=" i * i }
    /^end of stderr$/ { stderr = 1 }
    END { close_one(); if (seen != tasks) { print seen " logs"; bad = 1 }; exit bad }
  ' "$room/logs" >"$room/log.errors" || fail "logs: $(head -n 5 "$room/log.errors")"

  [ -z "$(orphans)" ] || fail "processes of tasks are left: $(orphans)"
  look
  [ ${#keepers[@]} -le "$(nproc)" ] || fail "${#keepers[@]} keepers for $(nproc) slots"
}

# --- kills ---

declare -A hit=([engine]=0 [agent]=0 [keeper]=0 [all]=0) working=([engine]=0 [agent]=0 [keeper]=0 [all]=0)
again=0 n_runs=0

strike() { # PID: whether it lived
  kill -KILL "$1" 2>/dev/null
}

# One kill of `victim`; counts it if it hit, and as at work if tasks ran under it (the engine, the agent: in this run). A slow
# machine is not at work again when the next kill is due: two of three wait until it is.
kill_one() { # VICTIM
  local pid n=0 wait=$((RANDOM % 3 * 20))
  look
  while [ ${#busy[@]} -eq 0 ] && [ "$wait" -gt 0 ] && is_on; do
    wait=$((wait - 1))
    sleep "0.0$((RANDOM % 9 + 1))"
    look
  done
  case $1 in
  engine)
    [ -n "$engine" ] && strike "$engine" || return 0
    ;;
  agent)
    [ -n "$agent" ] && strike "$agent" || return 0
    ;;
  keeper)
    [ ${#busy[@]} -gt 0 ] && strike "${busy[RANDOM % ${#busy[@]}]}" || return 0
    n_keepers=$((n_keepers + 1))
    ;;
  all)
    for pid in $engine $agent "${keepers[@]}"; do strike "$pid" && n=$((n + 1)); done
    n_keepers=$((n_keepers + ${#keepers[@]}))
    [ "$n" -gt 2 ] || return 0
    ;;
  esac
  hit[$1]=$((hit[$1] + 1))
  [ ${#busy[@]} -eq 0 ] || working[$1]=$((working[$1] + 1))
}

# A run that was too short for a kill, or busy where nobody looked, is no failure; five in a row are.
disturb() { # VICTIM KILLS
  local before missed=0
  while [ "${hit[$1]}" -lt "$2" ]; do
    begin
    before=${hit[$1]} n_keepers=0 n_runs=$((n_runs + 1))
    while [ "${hit[$1]}" -lt "$2" ] && is_on; do
      sleep "0.$((RANDOM % 20 + 10))"
      kill_one "$1"
    done
    check "$n_keepers"
    if [ "${hit[$1]}" -gt "$before" ]; then missed=0; else missed=$((missed + 1)); fi
    [ "$missed" -lt 5 ] || fail "no $1 was hit in five runs, the last is $run"
  done
  echo "$1: ${hit[$1]} killed, ${working[$1]} of them while tasks ran; $n_runs runs so far, $again tasks started again"
  [ $((3 * working[$1])) -ge "${hit[$1]}" ] || fail "$1: too few kills hit when tasks ran"
}

begin
check 0
[ "$again" -eq 0 ] || fail 'an undisturbed run started a task twice'
disturb engine "$quota"
[ "$again" -eq 0 ] || fail "$again tasks were started again because the engine was killed"
disturb agent "$quota"
[ "$again" -eq 0 ] || fail "$again tasks were started again because the agent was killed"
disturb keeper "$quota"
disturb all $(((quota + 4) / 5))

# Nothing is left to do, and the engine goes by itself.
run run -p round="$round"
has 'nothing to do'
gone() { look && [ -z "$engine" ]; }
wait_until gone
