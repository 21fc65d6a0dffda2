#!/bin/bash
# Hosts that vanish and come back while a run of 350 tasks is on four of them: cards that go down, packets that nobody hears of, sshd
# killed, everything on a host frozen, power losses. However long and often, the results are those of an undisturbed run, and no task
# counts twice. `vanish.sh N SEED` runs N schedules from a seed on; each prints its seed.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/lib.sh"
. "$here/../support/hosts.sh"
schedules=${1:-${DKRUN_SCHEDULES:-2}} first=${2:-$RANDOM}

at_end+=(hosts_down)
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
    sleep 0.$((x % 6))
    head -c $((x % 10 ? 100 : 2000000)) /dev/zero > {{outputs.out}}
    echo $x >> {{outputs.out}}
    cat code/f.txt; echo v=$x
  """
}
task use over g {
  inputs { made = make.out }
  metrics { v = match(stdout, 'v=([0-9]+)') }
  retry { lost = 20 }
  run = "sleep 0.3; echo v=$(tail -n 1 {{inputs.made}})"
}
# Logs that do not come with the result, and that several hosts have; what is read of them is at their end.
grid logs { y in 1..50 }
task say over logs {
  metrics { v = match(stdout, 'v=([0-9]+)') }
  retry { lost = 20 }
  run = "y={{y}}; sleep 0.$((y % 7)); seq $((300000 + y % 10)); echo v=$((y % 10))"
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
[ "$(grep -cE '^t[0-9]+,[0-9]+,[0-9]+$' "$room/wanted")" -eq 350 ] || fail "not 350 results"

export XDG_CONFIG_HOME=$room/config
mkdir -p "$XDG_CONFIG_HOME/dkrun"
cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<END
provider lab { kind = "ssh"  hosts = ["h1", "h2", "h3", "h4"]  config = "$hosts/ssh_config"  lost_after = 5s }
END

how=() back=() # by host: what it suffers from, and when (in tenths of a second) that ends

go_away() {
  local i=$1
  how[i]=$((RANDOM % 5))
  case ${how[$i]} in
  0) host_link "$i" down ;;
  1) host_drop "$i" on ;;
  2) host_kill_sshd "$i" ;;
  3) host_freeze "$i" ;;
  4) host_reboot "$i" ;; # there again at once
  esac
}
come_back() {
  local i=$1
  case ${how[$i]} in
  0) host_link "$i" up ;;
  1) host_drop "$i" off ;;
  2) host_start_sshd "$i" ;;
  3) host_thaw "$i" ;;
  esac
  how[i]=''
}

# Until the process is over: each host by itself, mostly for a moment, now and then for longer than lost_after.
disturb() {
  local running=$1 i now
  how=('' '' '' '' '') back=(0 0 0 0 0)
  for ((now = 0; ; now += 3)); do
    kill -0 "$running" 2>/dev/null || break
    for i in 1 2 3 4; do
      if [ -n "${how[$i]}" ]; then
        [ "$now" -lt "${back[$i]}" ] || come_back "$i"
      elif [ $((RANDOM % 12)) -eq 0 ]; then
        go_away "$i"
        back[i]=$((now + RANDOM % (RANDOM % 6 ? 30 : 140)))
      fi
    done
    sleep 0.3
  done
  for i in 1 2 3 4; do
    [ -z "${how[$i]}" ] || come_back "$i"
  done
}

for ((n = 0; n < schedules; n++)); do
  seed=$((first + n))
  RANDOM=$seed
  rm -rf .dkrun
  began=$SECONDS
  "$dkrun" run e.dk --foreground >"$room/out" 2>"$room/err" &
  running=$!
  disturb "$running"
  wait "$running" && code=0 || code=$?
  [ "$code" -eq 0 ] || { tail -n 50 "$room/err" "$room/out" >&2; fail "seed $seed: the run ended with $code"; }
  results >"$room/got"
  diff "$room/wanted" "$room/got" >&2 || fail "seed $seed: other results than undisturbed ones"
  echo "schedule of seed $seed: $((SECONDS - began)) s"
done
