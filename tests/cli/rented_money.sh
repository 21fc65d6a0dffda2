#!/bin/bash
# What rented machines cost, on a real LXD whose shapes have a price: asked beforehand, said afterwards, and never more than the limit.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/lxd.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lxd.sh"

at_end+=(lxd_down)
lxd_up
lxd_image

mkdir -p "$XDG_CONFIG_HOME/dkrun"
cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<END_OF_FILE
provider cloud {
  kind = "lxd"
  socket = "$lxd/lxd/unix.socket"
  image = "dkrun"
  shapes = [{ name = "small", cpus = 1, memory = 512MiB, price = 36USD/h }] # a cent a second
  max_instances = 1
  idle = 5m
}
END_OF_FILE
machines() { lxd_lxc list --format csv --columns n; }
none_left() { [ -z "$(machines)" ]; }
wait_long() {
  local n
  for n in 1 2 3 4; do (wait_until "$@") >/dev/null 2>&1 && return; done
  wait_until "$@"
}
# The cost of the last run, in millionths.
cost() { "$dkrun" status --format json | sed -n 's/.*"cost":\[{"currency":"USD","millionths":\([0-9]*\)}\].*/\1/p' | tail -n 1; }
repo
put e.dk <<'EOF'
grid g { x in 1..3 }
task square over g { run = "echo {{x}}" }
EOF
put long.dk <<'EOF'
task long { run = "sleep 600" }
EOF
commit

# --- nothing is made that nobody has agreed to ---

run -e 2 run e.dk --foreground
has_err 'machines may be made that cost money (cloud: up to 1 instance of small, at most 36USD/h for cloud), and nobody can be asked here'
run -e 4 run e.dk --foreground --max-cost 0
has_err 'help: machines of cloud cost money'
none_left || fail "made: $(machines)"
if "$dkrun" status --format json | grep '"run":'; then fail 'a run was recorded'; fi

# --- within the limit: what it was is said ---

run run e.dk --foreground --max-cost 5USD
has '3 ran, 0 cached, 0 failed, on cloud: cloud-1, cost 0.'
none_left || fail "left: $(machines)"
spent=$(cost)
((spent > 10000 && spent < 5000000)) || fail "it cost $spent millionths"
run status 1
has ', cost 0.'

# --- at the limit: the engine that ends it need not be the one that began ---

run run long.dk --detach --max-cost 1USD # at 40 s: a minute of it is for giving back
began=$SECONDS
is_up() { run instances; grep -q ' up ' <<<"$out"; }
wait_long is_up
run instances
has USD
run instances --format json
has '"price_per_hour":36.000000,"currency":"USD","cost_millionths":'
kill -KILL "$(engine_pid)"
while [ $((SECONDS - began)) -lt 42 ]; do sleep 1; done
[ -n "$(machines)" ] || fail 'it went by itself'
run -e 130 attach
has_err 'run 2 is ended: its machines have cost 0.4'
has_err ', and giving them back takes what is left of 1USD'
has_err 'help: results are kept; `dkrun run` with another --max-cost goes on from there'
wait_long none_left
spent=$(cost)
((spent >= 400000 && spent < 1000000)) || fail "it cost $spent millionths"
run status 2
has 'interrupted'
