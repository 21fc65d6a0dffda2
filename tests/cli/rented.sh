#!/bin/bash
# Machines that are rented, of a real LXD: made for what waits, packed with tasks, given back.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/lxd.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lxd.sh"

at_end+=(lxd_down)
lxd_up
lxd_image

mkdir -p "$XDG_CONFIG_HOME/dkrun"
providers() { # further fields
  cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<END_OF_FILE
provider cloud {
  kind = "lxd"
  socket = "$lxd/lxd/unix.socket"
  image = "dkrun"
  shapes = [{ name = "small", cpus = 1, memory = 512MiB }]
  ${1:-max_instances = 2  idle = 10s}
}
END_OF_FILE
}
machines() { lxd_lxc list --format csv --columns n; }
none_left() { [ -z "$(machines)" ]; }
providers
repo
put text.txt <<<'whale'
put e.dk <<'EOF'
grid g { x in 1..6 }
task square over g {
  inputs { text = file("text.txt") }
  outputs { out = "out" }
  metrics { n = match(stdout, 'n=([0-9]+)') }
  run = "uname -n; sleep 0.5; cat {{inputs.text}} > out; x={{x}}; echo n=$((x * x)); head -c 3000000 /dev/zero >> out"
}
EOF
commit

# --- from nothing to results, and nothing left ---

run run e.dk --foreground; cat "$room/out" "$room/err"
has '6 ran, 0 cached, 0 failed'
none_left || fail "left: $(machines)"
run get square.out x=3 -o "$room/square"
cat "$room/out" >/dev/null
DKRUN_SHOW=1
run run e.dk --foreground; cat "$room/out" "$room/err"
has 'nothing to do'
