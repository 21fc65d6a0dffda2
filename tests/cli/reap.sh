#!/bin/bash
# dkrun reap on a real LXD: a machine whose store is gone, beside one that an engine has and one that is none of ours; from another folder,
# and from the one that it was made in.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/lxd.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lxd.sh"

at_end+=(lxd_down)
lxd_up
lxd_image

put "$XDG_CONFIG_HOME/dkrun/providers.dk" <<END_OF_FILE
provider cloud {
  kind = "lxd"
  socket = "$lxd/lxd/unix.socket"
  image = "dkrun"
  shapes = [{ name = "small", cpus = 1, memory = 512MiB }]
  max_instances = 1  idle = 30m
}
END_OF_FILE
chmod -R go-w "$XDG_CONFIG_HOME"
machines() { lxd_lxc list --format csv --columns n | sort; }
tag_of() { lxd_lxc config get "$1" "user.dkrun.$2"; }
none_left() { [ "$(machines)" = other ]; }
is_up() { run instances; [[ $out == *' up '* ]]; }
wait_long() { # machines boot and go
  local n
  for n in 1 2 3 4 5; do (wait_until "$@") >/dev/null 2>&1 && return; done
  wait_until "$@"
}
repo
put e.dk <<'EOF'
task t { run = "echo yes" }
EOF
commit
lxd_lxc init dkrun other 2>/dev/null # without a tag of ours
run reap
is 'Nothing is left over.'

# --- what an engine has is left alone, whoever asks ---

run run e.dk --detach
wait_long is_up
own=$(machines | grep -v '^other$')
store=$(tag_of "$own" store)
[[ $(tag_of "$own" owner) == *"@$(uname -n):$room/repo" ]] || fail "the owner: $(tag_of "$own" owner)"
run reap --older-than 0s --store "$store" --yes
is $'Nothing is left over.\n1 machine is on record here: `dkrun instances` lists what there is, `dkrun down` gives it back'
cd "$room"
run reap --older-than 0s --store "$store" --yes
is $'Nothing is left over.\n1 machine is on record in '"$room/repo"$': `dkrun down` there gives it back'
[ "$(machines)" = "$own"$'\n'other ] || fail "there: $(machines)"

# --- its store is gone, the machine is not ---

cd "$room/repo"
kill -KILL "$(engine_pid)"
stop_agents
rm -rf .dkrun
run reap --older-than 0s --yes
has "store $store, of "
has "@$(uname -n):$room/repo, its folder or its store is gone"
count 1 "  keep  cloud  $own "
has 'goes by itself when idle'
[ "$(machines)" = "$own"$'\n'other ] || fail "there: $(machines)"
run reap --store "$store" --yes # not a quarter of an hour old
has '; younger than 15m'
[ "$(machines)" = "$own"$'\n'other ] || fail "there: $(machines)"
run reap --older-than 0s --store "$store"
has 'nothing was deleted; `dkrun reap --yes`, with the same options, deletes 1 machine'
[ "$(machines)" = "$own"$'\n'other ] || fail "there: $(machines)"
run reap --older-than 0s --store "$store" --yes
has 'deleted 1 of 1 machine'
none_left || fail "left: $(machines)"
run reap
is 'Nothing is left over.'
