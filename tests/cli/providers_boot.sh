#!/bin/bash
# dkrun providers check --boot on a real LXD: a machine is made, reached and given back. Whatever is wrong with it is told, and nothing
# is left, also when it is interrupted.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/lxd.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lxd.sh"
at_end+=(lxd_down)
lxd_up
lxd_image

machines() { lxd_lxc list --format csv --columns n; }
none_left() { [ -z "$(machines)" ]; }
some_left() { ! none_left; }
mkdir -p "$XDG_CONFIG_HOME/dkrun"
providers() { # FIELD... of the cloud; shapes in $shapes
  cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<END_OF_FILE
provider first {
  kind = "lxd"  socket = "$lxd/lxd/unix.socket"  image = "dkrun"  max_instances = 2
  shapes = [{ name = "small", cpus = 1, memory = 512MiB }]
}
provider cloud {
  kind = "lxd"  socket = "$lxd/lxd/unix.socket"  max_instances = 2
  shapes = [{ name = "small", cpus = 1, memory = 512MiB ${shapes-} }]
  $*
}
provider lab { kind = "ssh"  hosts = ["nowhere.invalid"] }
END_OF_FILE
}
repo
put e.dk <<<'task t { run = "true" }'
commit

providers 'image = "dkrun"'
run -e 2 providers check --boot
has_err '--boot wants to know of which provider'
run -e 2 providers check cloud --boot --files
run -e 2 providers check cloud --yes
run -e 2 providers check cloud --boot
has_err 'help: nobody can be asked here: --yes agrees'
run providers check cloud --boot --yes
has 'ok        cloud  cloud-1 is up: x86_64, debian '
has 'note      cloud  it was given back: the cloud has none of ours'
none_left || fail "left: $(machines)"
run instances
has 'No machine is rented.'

# --- an engine works: it is not disturbed ---

put long.dk <<<'task t { run = "sleep 60" }'
providers 'image = "dkrun" }
provider here { kind = "local"'
"$dkrun" run long.dk --detach >/dev/null
run -e 4 providers check cloud --boot --yes
has_err 'another dkrun works in'
run cancel --now
kill -KILL "$(engine_pid)"

# --- one that nobody gets into: its user data is not run ---

lxd_lxc -q profile copy default deaf
lxd_lxc -q profile set deaf raw.lxc 'lxc.init.cmd = /bin/sleep 1000'
providers 'image = "dkrun"  profile = "deaf"  boot = 30s'
run -e 4 providers check cloud --boot --yes
has 'problem   cloud  no machine came up within '
has 'note      cloud  it was given back: the cloud has none of ours'
none_left || fail "left: $(machines)"

# --- no more may be made ---

lxd_lxc -q project create small -c features.images=false -c features.profiles=false -c limits.instances=0
providers 'image = "dkrun"  project = "small"'
run -e 4 providers check cloud --boot --yes
has_err 'Reached maximum number of instances'
has 'problem   cloud  no machine came up'

# --- interrupted ---

providers 'image = "dkrun"  profile = "deaf"  boot = 5m'
"$dkrun" providers check cloud --boot --yes >"$room/said" 2>&1 </dev/null &
pid=$!
wait_until some_left
kill -INT "$pid"
wait "$pid" && fail "it is all right"
grep -q 'problem   cloud  interrupted after ' "$room/said" || fail "not said: $(cat "$room/said")"
none_left || fail "left: $(machines)"
