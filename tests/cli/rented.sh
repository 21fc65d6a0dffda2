#!/bin/bash
# Machines that are rented, of a real LXD: made for what waits, shared by its tasks, given back. Whatever dies meanwhile, nothing is
# left and nothing counts twice.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/lxd.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lxd.sh"

at_end+=(lxd_down)
lxd_up
lxd_image

mkdir -p "$XDG_CONFIG_HOME/dkrun"
providers() { # fields that all of them have not
  cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<END_OF_FILE
provider cloud {
  kind = "lxd"
  socket = "$lxd/lxd/unix.socket"
  image = "dkrun"
  shapes = [{ name = "small", cpus = 1, memory = 512MiB }]
  $1
}
END_OF_FILE
}
machines() { lxd_lxc list --format csv --columns n; }
none_left() { [ -z "$(machines)" ]; }
n_left() { [ "$(machines | wc -l)" -eq "$1" ]; }
# For longer than wait_until has patience: machines boot and go.
wait_long() {
  local n
  for n in 1 2 3 4; do (wait_until "$@") >/dev/null 2>&1 && return; done
  wait_until "$@"
}
providers 'max_instances = 2  idle = 10s'
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
put long.dk <<'EOF'
grid g { x in 1..3 }
task long over g {
  outputs { out = "out" }
  metrics { n = match(stdout, 'n=([0-9]+)') }
  run = "sleep 8; x={{x}}; echo n=$((x + 1)); echo $x > out"
}
EOF
commit

# --- before anything is rented ---

run instances
is 'No machine is rented.'
run plan e.dk
has 'up to 2'
run providers
has cloud
run providers check
has 'ok        cloud  lxd 5'
has 'ok: 1 provider, 1 cloud'

# --- from nothing to results, and nothing is left ---

run run e.dk --foreground --plain
has '6 ran, 0 cached, 0 failed, on cloud: cloud-1 cloud-2'
has_err 'giving back 2 machines'
none_left || fail "left: $(machines)"
run get square.out x=3 -o "$room/square" # all of it is here, though its machine is gone
[ "$(wc -c <"$room/square")" -eq 3000006 ] || fail "$(wc -c <"$room/square") bytes"
run run e.dk --foreground
has 'nothing to do'

# --- the engine is killed while tasks run there: they go on, the next engine has them, and the machines go ---

run run long.dk --detach
ran_at() { run instances; [ "$(grep -c ' up ' <<<"$out")" -eq 2 ]; }
wait_long ran_at
# The key that is in the user data is not accepted any more: ssh has learned one that the machine made for itself.
known=$(cat .dkrun/rented/*.known)
[ "$(grep -c ' ecdsa-sha2-nistp256 ' <<<"$known")" -eq 2 ] || fail "keys that were learned: $known"
if grep ssh-ed25519 <<<"$known"; then fail 'the first key of a machine is kept'; fi
ls .dkrun/rented/cloud-*.pub 2>/dev/null && fail 'the first key of a machine lies there'
kill -KILL "$(engine_pid)"
n_left 2 || fail "not two machines: $(machines)"
run instances
has 'No engine works here.'
run instances --format json
has '"state":"up"'
"$dkrun" run long.dk --detach >/dev/null
wait_long none_left # when all is done they are idle for ten seconds, and then they go
run results --format csv
[ "$(grep -cE '^t[0-9],[0-9],[0-9]$' <<<"$out")" -eq 3 ] || fail "results: $out"

# --- the provider is pointed to another project while machines live in this one: none is lost, with an engine and without ---

lxd_lxc project create elsewhere -c features.images=false -c features.profiles=false -c features.storage.volumes=false >/dev/null
there() { lxd_lxc list --project elsewhere --format csv --columns n; }
moved='max_instances = 2  idle = 10s  project = "elsewhere"'
put slow.dk <<'EOF'
grid g { x in 1..3 }
task slow over g {
  outputs { out = "out" }
  metrics { n = match(stdout, 'n=([0-9]+)') }
  run = "sleep 8; x={{x}}; echo n=$((x + 5)); echo $x > out"
}
EOF
commit
run run slow.dk --detach
wait_long ran_at
providers "$moved" # what runs there ends there; what waits may go to the other place
"$dkrun" attach --plain >"$room/attached" 2>&1 || fail "attach: $(cat "$room/attached")"
run results --format csv
[ "$(grep -cE '^t[0-9],[0-9],[0-9]$' <<<"$out")" -eq 3 ] || fail "results: $out"
gone_here() { [ -z "$(machines)" ] && [ -z "$(there)" ]; }
wait_long gone_here

providers 'max_instances = 2  idle = 10m'
put slow.dk <<<"$(sed 's/x + 5/x + 6/' slow.dk)"
commit
run run slow.dk --detach
wait_long ran_at
before=$(machines | sort)
kill -KILL "$(engine_pid)"
providers "$moved"
run instances # what is on record is there, and where that is
has "cloud is at $lxd/lxd/unix.socket, project default"
count 2 ' up '
run -e 4 down cloud # nobody can be asked there
has_err 'cloud: it is elsewhere now, and 2 machines of it may still be at'
[ "$(machines | sort)" = "$before" ] || fail "there were $before, and are: $(machines)"
run instances
count 1 "cloud is at $lxd/lxd/unix.socket, project default"
providers 'max_instances = 2  idle = 10s' # put back: they are found, with what they have made
"$dkrun" attach --plain >"$room/attached" 2>&1 || fail "attach: $(cat "$room/attached")"
run results --format csv
[ "$(grep -cE '^t[0-9],[0-9],[0-9]$' <<<"$out")" -eq 3 ] || fail "results: $out"
run down cloud
wait_long gone_here
