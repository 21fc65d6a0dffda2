#!/bin/bash
# The LXD of lxd.sh is what it says: machines with our keys on them that one can log in to, images of them, lists by what they
# are marked with, machines that are deleted when they are switched off. This machine is as it was, also of a killed test.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=lxd.sh
. "$here/lxd.sh"
fail() { echo "FAILED at line ${BASH_LINENO[0]}: $*" >&2; exit 1; }
wait_until() {
  for _ in {1..500}; do
    if "$@"; then return 0; fi
    sleep 0.04
  done
  fail "never came true: $*"
}
started=$EPOCHREALTIME
# How long it took, for people.
took() {
  local now=$EPOCHREALTIME
  printf '%-28s %5d ms\n' "$1" $(((${now/./} - ${started/./}) / 1000))
  started=$EPOCHREALTIME
}
machine() { cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/forwarding; ip route show dev lo; grep -c dkrun-lxd /proc/mounts || true; }
address() { lxd_lxc list "^$1\$" -f csv -c 4 | cut -d' ' -f1; }
has_address() { [ -n "$(address "$1")" ]; }
ssh_to() { # ADDRESS COMMAND...
  local ip=$1
  shift
  timeout 20 ssh -i "$lxd/id" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes \
    -o ConnectTimeout=3 "root@$ip" "$@" 2>/dev/null
}
on() { # NAME COMMAND...
  local ip
  ip=$(address "$1")
  shift
  ssh_to "$ip" "$@"
}
names() { lxd_api GET "/1.0/instances?filter=config.user.dkrun.run+eq+$1" | tr -d '\n' | grep -o '/1.0/instances/[a-z0-9]*' | cut -d/ -f4 | sort | tr '\n' ' '; }
create() { # NAME IMAGE RUN [ARGUMENT]...
  local name=$1 image=$2 run=$3
  shift 3
  lxd_lxc -q init "$image" "$name" -c user.dkrun.run="$run" -c user.user-data="$(user_data)" "$@"
}
user_data() {
  cat <<END
#!/bin/sh
mkdir -p /root/.ssh
echo '$(cat "$lxd/id.pub")' >/root/.ssh/authorized_keys
END
}

before=$(machine)
lxd_up
took 'LXD is up'
lxd_image
took 'image is there'
create c1 dkrun r1 --ephemeral -c limits.memory=300MiB -c limits.cpu=1
took 'created'
lxd_lxc -q start c1
took 'started'
wait_until has_address c1
took 'has an address'
wait_until on c1 true
took 'lets us in'
[ "$(on c1 uname -n)" = c1 ] || fail 'its name'
[[ $(on c1 'nproc; grep MemTotal /proc/meminfo') == $'1\nMemTotal:'*\ 307200\ kB ]] || fail 'what it may have'
create c2 dkrun r2
lxd_lxc -q start c2
wait_until on c2 true
took 'another one'
[ "$(names r1)$(names r2)$(names r3)" = 'c1 c2 ' ] || fail "listed: $(names r1)$(names r2)$(names r3)"
on c2 'echo kept >/var/lib/kept'
started=$EPOCHREALTIME
lxd_lxc stop c2
took 'stopped'
lxd_lxc -q publish c2 --alias kept --compression zstd >/dev/null
took 'published'
create c3 kept r1
lxd_lxc -q start c3
wait_until on c3 true
took 'a copy lets us in'
[ "$(on c3 'cat /var/lib/kept; uname -n')" = $'kept\nc3' ] || fail 'a copy of c2'
[ "$(names r1)" = 'c1 c3 ' ] || fail 'both of a run'
ip3=$(address c3)

# The server ends and comes again; its machines do not notice.
lxd_server down
if lxd_api GET /1.0 >/dev/null 2>&1; then fail 'it answers'; fi
if said=$(lxd_patience=1 && lxd_wait lxd_api GET /1.0 2>&1); then fail 'it answers'; fi
[[ $said == 'LXD: it is not so after 1 s: lxd_api GET /1.0'* && $said == *level=* ]] || fail "what is told of a slow one: $said"
on_c3=$(ssh_to "$ip3" uname -n)
[ "$on_c3" = c3 ] || fail 'c3 went with it'
started=$EPOCHREALTIME
lxd_server up
took 'the server comes again'
[ "$(names r1)" = 'c1 c3 ' ] || fail "listed: $(names r1)"
[ "$(on c3 'cat /var/lib/kept')" = kept ] || fail 'c3 is another one'

# What is ephemeral is gone when it is switched off, from inside too.
on c1 'shutdown -P +10; shutdown -c; shutdown -P now' || true
started=$EPOCHREALTIME
is_gone() { [ "$(names r1)" = 'c3 ' ]; }
wait_until is_gone
took 'switched off, deleted'
lxd_lxc -q delete --force c3
lxd_lxc delete c2
lxd_lxc image delete kept dkrun
took 'deleted'
[ "$(lxd_lxc list -f csv)$(lxd_lxc image list -f csv)" = '' ] || fail 'something is left there'
[ "$(machine)" = "$before" ] || fail 'this machine is another one'

nothing_is_left() {
  local left
  left=$(ls -d "$place" "/sys/class/net/dkx$network" 2>/dev/null; lxd_cgroups "$network"; grep -so "${place}[^ ]*" /proc/mounts /sys/block/loop*/loop/backing_file) || true
  [ -z "$left" ] || fail "left: $left"
}

# Another test at the same time has its own; killed, nothing of it stays.
cat >"$lxd/other" <<END
. "$here/lxd.sh"
lxd_up
lxd_image
lxd_lxc -q launch dkrun c1
echo "\$lxd_network \$lxd" >"$lxd/other-is"
kill -STOP \$\$ # it waits for its end
END
bash "$lxd/other" &
other=$!
wait_until test -s "$lxd/other-is"
read -r network place <"$lxd/other-is"
[ "$network" != "$lxd_network" ] || fail 'one network for two'
took 'another LXD beside it'
kill -KILL $other
wait $other 2>/dev/null || true
was_swept() { [ ! -e "$lxd_claims/$network" ]; }
wait_until was_swept
wait_until test ! -e "/sys/class/net/dkx$network"
nothing_is_left
took 'a killed one is swept'
network=$lxd_network place=$lxd
lxd_down
nothing_is_left
took 'down'
[ "$(machine)" = "$before" ] || fail 'this machine is another one'
