#!/bin/bash
# Hosts that vanish and come back while a run of 300 tasks is on four of them: cards that go down, packets that nobody hears of, sshd
# killed, everything on a host frozen, power losses. However long and often, the results are those of an undisturbed run, and no task
# counts twice. `vanish.sh N SEED` runs N schedules from a seed on; each prints its seed.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/lib.sh"
. "$here/../support/hosts.sh"
schedules=${1:-${DKRUN_SCHEDULES:-2}} first=${2:-$RANDOM}

leave() {
  local code=$?
  hosts_down
  (exit "$code")
  cleanup
}
trap leave EXIT
hosts_up 4

repo
put code/f.txt <<<'of the commit'
put e.dk <<'END'
experiment e { }
grid g { x in 1..150 }
task make over g {
  code = ["code"]
  outputs { out = "out" }
  metrics { v = match(stdout, 'v=([0-9]+)') }
  retry { lost = 20 }
  run = """
    x={{x}}
    sleep 0.0$((x % 9))
    head -c $((x % 10 ? 100 : 2000000)) /dev/zero > {{outputs.out}}
    echo $x >> {{outputs.out}}
    cat code/f.txt; echo v=$x
  """
}
task use over g {
  inputs { made = make.out }
  metrics { v = match(stdout, 'v=([0-9]+)') }
  retry { lost = 20 }
  run = "sleep 0.1; echo v=$(tail -n 1 {{inputs.made}})"
}
END
commit

# What counts: the names and metrics of all tasks.
results() {
  run results --format csv
  sort <<<"$out"
}

# The undisturbed one, on this machine.
run run e.dk --foreground
results >"$room/wanted"
[ "$(grep -cE '^t[0-9]+,[0-9]+,[0-9]+$' "$room/wanted")" -eq 300 ] || fail "not 300 results"

export XDG_CONFIG_HOME=$room/config
mkdir -p "$XDG_CONFIG_HOME/dkrun"
cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<END
provider lab { kind = "ssh"  hosts = ["h1", "h2", "h3", "h4"]  config = "$hosts/ssh_config"  lost_after = 5s }
END

pause() { sleep "$(printf '%d.%d' $((RANDOM % $1)) $((RANDOM % 10)))"; }

# One host goes, and comes back after up to $2 seconds.
vanish() {
  local i=$1 how=$((RANDOM % 5)) most=$2
  case $how in
  0) host_link "$i" down; pause "$most"; host_link "$i" up ;;
  1) host_drop "$i" on; pause "$most"; host_drop "$i" off ;;
  2) host_kill_sshd "$i"; pause "$most"; host_start_sshd "$i" ;;
  3) host_freeze "$i"; pause "$most"; host_thaw "$i" ;;
  4) host_reboot "$i" ;;
  esac
}

# Until the run is over: each host by itself.
disturb() {
  local i=$1 until=$2
  while [ ! -e "$until" ]; do
    pause 4
    if [ $((RANDOM % 8)) -eq 0 ]; then vanish "$i" 14; else vanish "$i" 4; fi
  done
}

for ((n = 0; n < schedules; n++)); do
  seed=$((first + n))
  RANDOM=$seed
  rm -rf .dkrun "$room/over"
  began=$SECONDS
  "$dkrun" run e.dk --foreground >"$room/out" 2>"$room/err" &
  running=$!
  for i in 1 2 3 4; do (RANDOM=$((seed * 4 + i)); disturb "$i" "$room/over") & done
  wait "$running" && code=0 || code=$?
  touch "$room/over"
  wait
  [ "$code" -eq 0 ] || { tail -50 "$room/err" "$room/out" >&2; fail "seed $seed: the run ended with $code"; }
  results >"$room/got"
  diff "$room/wanted" "$room/got" >&2 || fail "seed $seed: other results than undisturbed ones"
  echo "schedule of seed $seed: $((SECONDS - began)) s"
done
