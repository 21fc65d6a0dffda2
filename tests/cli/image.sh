#!/bin/bash
# An image of dkrun's own on a real LXD: a run makes it once, several machines start from it, and the next run finds it. A setup that
# fails is shown with the end of its log, and leaves nothing; so does an engine that is killed while it builds.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/lxd.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/lxd.sh"
at_end+=(lxd_down)
lxd_up
lxd_image

machines() { lxd_lxc list --format csv --columns n; }
images() { lxd_lxc image list --format json | jq -r '.[].properties["user.dkrun.recipe"] // empty'; }
none_left() { [ -z "$(machines)" ]; }
mkdir -p "$XDG_CONFIG_HOME/dkrun"
providers() { # SETUP
  cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<END_OF_FILE
image tools {
  from = "dkrun"
  setup = """
$1
"""
}
provider cloud {
  kind = "lxd"  socket = "$lxd/lxd/unix.socket"
  image = tools
  shapes = [{ name = "small", cpus = 1, memory = 512MiB }]
  max_instances = 4  idle = 30s
}
END_OF_FILE
}
repo
put e.dk <<'EOF'
param round = 0
grid g { x in 1..3 }
task use over g {
  metrics { made = match(stdout, 'made=([0-9]+)') }
  needs = { memory = 400MiB }
  run = """
sleep 2; echo made=$(cat /opt/tools) {{round}} {{x}}
echo authorized: $(wc -l </root/.ssh/authorized_keys)
cmp -s /opt/key /etc/ssh/ssh_host_ecdsa_key.pub || echo another key
"""
}
EOF
commit

# --- made once, and several at once start from it ---

providers 'echo "the setup begins"; echo 17 >/opt/tools; id -u; cat /etc/ssh/ssh_host_ecdsa_key.pub >/opt/key'
run providers
has 'from image tools of dkrun'
run run e.dk --plain
has 'image tools is not there yet: cloud-1 makes it of dkrun; its log: '
has 'image tools is made ('
run results --format csv
[ "$(grep -c ',17' <<<"$out")" -eq 3 ] || fail "not what the setup left: $out"
log=$(echo .dkrun/rented/image-*.log)
{ grep -q 'the setup begins' "$log" && grep -qx 0 "$log"; } || fail "its log: $(cat "$log")"
wait_until none_left
recipe=$(images)
[[ $recipe =~ ^[0-9a-f]{64}$ ]] || fail "images: $recipe"

# Nothing of the builder is in it: keys, and what its first boot did.
run logs t1
has 'authorized: 1'
has 'another key'

# --- it is found again, whoever made it ---

run run e.dk -p round=1 --plain
lacks 'image tools'
[ "$(images)" = "$recipe" ] || fail "images: $(images)"
wait_until none_left

# --- a setup that fails ---

providers 'echo "about to fail" >&2; exit 3'
run -e 130 run e.dk -p round=2 --plain
has 'image tools is not made: its setup failed (exit code 3); the end of its log, '
has $'\n  about to fail\n'
has 'no host can be given its tasks'
wait_until none_left
[ "$(images)" = "$recipe" ] || fail "images: $(images)"

# --- an engine that is killed while it builds; the next one ends the builder and makes another ---

providers 'sleep 3; echo 18 >/opt/tools; : >/opt/key'
"$dkrun" run e.dk -p round=3 --detach >/dev/null
is_building() { run instances && [[ $out == *builds* ]]; }
wait_until is_building
sets_up() { grep -qs 'setup of image' .dkrun/rented/image-*.log; }
wait_until sets_up
kill -KILL "$(engine_pid)"
run run e.dk -p round=3 --plain
has 'image tools is made ('
run results --format csv
[ "$(grep -c ',18' <<<"$out")" -eq 3 ] || fail "not what the setup left: $out"
wait_until none_left
[ "$(images | wc -l)" -eq 2 ] || fail "images: $(images)"

# --- listed and pruned ---

run images
[[ $out =~ ^image\ +provider\ +state\ +size\ +age\ +made\ by ]] || fail "its head"
[[ $out =~ tools\ +cloud\ +ready\ +[0-9.]+\ MiB\ +[0-9]+\ s\ .*:$PWD ]] || fail "the one that is named"
[[ $out =~ ${recipe:0:12}\ +cloud\ +ready ]] || fail "the one that is not"
has '1 of them no file of providers names any more: dkrun images prune'
run images cloud --format json
has "\"image\":null,\"recipe\":\"$recipe\""
run -e 2 images nowhere
run images prune
has 'nothing was deleted; with --yes 1 image would be'
run images prune --yes
has 'deleted 1 of 1 image'
lxd_lxc image list --format json | grep -q "$recipe" && fail "it is still there"
run images prune -y
has 'nothing to delete'

# --- one that people have deleted is made again ---

for image in $(lxd_lxc image list --format json | jq -r '.[] | select(.properties["user.dkrun.recipe"]) | .fingerprint'); do
  lxd_lxc image delete "$image"
done
run run e.dk -p round=4 --plain
has 'image tools is made ('
wait_until none_left
