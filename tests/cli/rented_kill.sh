#!/bin/bash
# The engine is killed again and again while machines of a real LXD are asked for, boot, work and go: in the end all is done, nothing was
# made twice, and nothing is left. `rented_kill.sh ROUNDS SEED`.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/lxd.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lxd.sh"
rounds=${1:-6}
RANDOM=${2:-$$}
echo "seed ${2:-$$}"

at_end+=(lxd_down)
lxd_up
lxd_image

mkdir -p "$XDG_CONFIG_HOME/dkrun"
cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<END_OF_FILE
provider cloud {
  kind = "lxd"
  socket = "$lxd/lxd/unix.socket"
  image = "dkrun"
  shapes = [{ name = "small", cpus = 1, memory = 512MiB }]
  max_instances = 2  idle = 10s
}
END_OF_FILE
machines() { lxd_lxc list --format csv --columns n; }
repo
put e.dk <<'EOF'
param round = 0
grid g { x in 1..4 }
task square over g {
  outputs { out = "out" }
  metrics { n = match(stdout, 'n=([0-9]+)') }
  run = "sleep 0.7; r={{round}}; x={{x}}; echo n=$((r * 100 + x)); echo $r > out"
}
EOF
commit

kill_engine() {
  local pid
  pid=$(engine_pid 2>/dev/null) && [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null && killed=$((killed + 1))
  return 0
}
killed=0 most=0
for ((round = 1; round <= rounds; round++)); do
  for _ in 1 2 3; do
    "$dkrun" run e.dk -p round="$round" --detach >/dev/null 2>&1 || true
    sleep "$((RANDOM % 4)).$((RANDOM % 10))"
    n=$(machines | wc -l)
    [ "$n" -le "$most" ] || most=$n
    kill_engine
  done
  run run e.dk -p round="$round"
  run results --format csv
  for x in 1 2 3 4; do [[ $out == *",$x,$((round * 100 + x))"* ]] || fail "no result of $x"; done
  [ "$(grep -c '^t[0-9]' <<<"$out")" -eq 4 ] || fail "not four results: $out"
done
[ "$most" -le 2 ] || fail "$most machines at a time, and two are allowed"

# --- and nothing is left: neither there nor in the records ---

run down
none_left() { [ -z "$(machines)" ]; }
is_forgotten() { run instances; [[ $out == 'No machine is rented.' ]]; }
for _ in 1 2 3 4 5 6; do (wait_until none_left && wait_until is_forgotten) >/dev/null 2>&1 && break; done
none_left || fail "left: $(machines)"
is_forgotten || fail "recorded: $out"
echo "$killed engines killed in $rounds rounds; never more than $most machines; none is left"
