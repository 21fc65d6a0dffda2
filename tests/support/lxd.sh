# A private LXD for tests: its API, its network and its machines are this test's alone. Sourced by tests that run as root; where
# that or the kernel does not allow it, the test is skipped. The server, its bridge, its mounts and its containers live in
# namespaces and cgroups of their own: what is done there changes nothing here, and all of it ends with its first process.
# It reaches this machine only by a cable to its bridge: nothing leads from there to the outside.
# shellcheck shell=bash
#
#   lxd_up                      starts it: pool `pool` (btrfs), network `dkrun`, profile `default` with both, no image (skips the
#                               test with 77 where that cannot be done). lxd_down is set as a trap for EXIT by whoever has
#                               none; who has one calls it there
#   lxd_down                    takes all of it down; called twice: fine
#   lxd_image                   the image `dkrun` is there: lxd_image.sh has what is in it. Made once (30 s to 3 minutes)
#                               and kept in build/testbed
#   lxd_lxc ARGUMENT...         LXD's own client, on this server
#   lxd_api METHOD PATH [BODY]  one request; the answer's body is printed, whatever its status
#   lxd_server down|up          the server ends at once, and its machines go on; it comes again
#   $lxd                        directory with id and id.pub (a key for ssh), log, lxd/unix.socket (the API)
#   lxd_tls                     the API over TLS, too, at $lxd_url: the server's certificate is $lxd/lxd/server.crt (of no name
#                               that it is reached by), $lxd/client.crt with client.key is trusted there
#
# Two tests at once have networks of their own (10.214.K.0/24, claimed in /run/dkrun-test-lxd/K). A watcher takes all down when
# the test is gone, however it ended; should that be killed too, the next test that starts does.

lxd='' lxd_network='' lxd_url='' lxd_patience=120

lxd_skip() { echo "skipped: $*"; exit 77; }

lxd_repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
lxd_claims=/run/dkrun-test-lxd
# shellcheck source=claim.sh
. "$lxd_repository/tests/support/claim.sh"

# The cgroups of network $1, one of each hierarchy that is mounted.
lxd_cgroups() { find /sys/fs/cgroup -type d -name "dkrun-test-lxd-$1" -prune 2>/dev/null; }

# Removes what a network may have left, here or in a test that was killed. Its lock is held.
lxd_sweep() {
  local dir pids
  for dir in $(lxd_cgroups "$1"); do
    for _ in {1..500}; do
      pids=$(find "$dir" -name cgroup.procs -exec cat {} + 2>/dev/null)
      # shellcheck disable=SC2086 # numbers
      [ -z "$pids" ] || kill -KILL $pids 2>/dev/null || true
      find "$dir" -depth -type d -exec rmdir {} \; 2>/dev/null || true
      [ -e "$dir" ] || break
      sleep 0.02
    done
  done
  # The cable goes with the other end's network, a moment later than its last process.
  [ ! -e "/sys/class/net/dkx$1" ] || ip link del "dkx$1" 2>/dev/null || true
  if [[ $2 == */dkrun-lxd.* ]]; then rm -rf "$2"; fi
}

# Makes one cgroup in each hierarchy, below this process's own, and puts the caller into them. Lines of what is there, for
# lxd_init: mount point, kind, controllers.
lxd_enter_cgroups() {
  local controllers path where kind options dir groups
  groups=$(</proc/self/cgroup) # it changes on the way
  while IFS=: read -r _ controllers path; do
    while read -r _ where kind options _; do
      case $kind:$controllers in
      cgroup2:) ;;
      cgroup:?*) [[ ,$options, == *,$controllers,* ]] || continue ;;
      *) continue ;;
      esac
      [ -d "$where$path" ] || path=''
      dir=$where${path%/}/dkrun-test-lxd-$lxd_network
      mkdir "$dir" || continue
      if [ -e "$dir/cpuset.mems" ] && [ -e "$dir/tasks" ]; then # of version 1: empty, and nothing may run in it
        cat "$dir/../cpuset.cpus" >"$dir/cpuset.cpus"
        cat "$dir/../cpuset.mems" >"$dir/cpuset.mems"
      fi
      echo "$BASHPID" >"$dir/cgroup.procs" && echo "$where $kind $controllers"
      break
    done </proc/self/mounts
  done <<<"$groups"
}

# The first process of its namespaces: makes its world, keeps the server, reaps. $1 is its directory, with `cgroups`.
lxd_init=$(
  cat <<'END'
set -e
dir=$1
mount --make-rprivate /
mount -t proc proc /proc
umount -R -l /sys
mount -t sysfs sys /sys # that of this network
while read -r where kind controllers; do
  case $where in /sys/fs/cgroup/*) mountpoint -q /sys/fs/cgroup || mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup ;; esac
  mkdir -p "$where"
  case $kind,$controllers in
  cgroup2,*)
    mount -t cgroup2 cgroup "$where"
    # Version 2 gives controllers only to groups whose parent has no processes.
    mkdir "$where/server"
    echo $$ >"$where/server/cgroup.procs"
    ;;
  *,name=*) mount -t cgroup -o "none,$controllers" cgroup "$where" ;;
  *) mount -t cgroup -o "$controllers" cgroup "$where" ;;
  esac
done <"$dir/cgroups"
mount -t tmpfs -o mode=755 run /run
echo lxd >/proc/sys/kernel/hostname
# What a machine sees of itself in /proc is what it may have.
lxcfs /var/lib/lxcfs >"$dir/lxcfs.log" 2>&1 &
ip link set lo up
export LXD_DIR=$dir/lxd HOME=$dir
mkdir "$LXD_DIR"
echo up >"$dir/up"
until [ -e /sys/class/net/cable ]; do sleep 0.02; done
ip link set cable up
while :; do
  lxd --group root >>"$dir/log" 2>&1 || true
  until [ ! -e "$dir/down" ]; do sleep 0.05; done
done
END
)

# Waits until a command succeeds; not longer than $lxd_patience s (a busy machine takes half a minute), and not when the server is gone.
# Then it says so, with the end of the server's log.
lxd_wait() {
  local until=$((SECONDS + lxd_patience)) why="it is not so after $lxd_patience s"
  while ((SECONDS < until)); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    kill -0 "$(cat "$lxd/leader")" 2>/dev/null || { why='the server is gone'; break; }
    sleep 0.05
  done
  echo "LXD: $why: $*" >&2
  tail -n 20 "$lxd/init.log" "$lxd/log" >&2 2>/dev/null || true
  return 1
}

lxd_api() {
  curl -sS --max-time 120 --unix-socket "$lxd/lxd/unix.socket" -X "$1" ${3:+-H 'Content-Type: application/json' -d "$3"} "http://lxd$2"
}

lxd_lxc() { LXD_DIR=$lxd/lxd LXD_CONF=$lxd/conf lxc "$@" </dev/null; }

# Its first process, as seen from here.
lxd_first() {
  local leader first
  leader=$(cat "$lxd/leader")
  read -r first _ <"/proc/$leader/task/$leader/children" || true # it has no newline
  echo "$first"
}

lxd_server() {
  local first pid pids
  case $1 in
  down)
    touch "$lxd/down"
    first=$(lxd_first)
    read -ra pids <"/proc/$first/task/$first/children" || true # it has no newline
    for pid in "${pids[@]}"; do
      [ "$(tr '\0' ' ' <"/proc/$pid/cmdline")" != "lxd --group root " ] || kill -KILL "$pid"
    done
    ;;
  up)
    rm "$lxd/down"
    lxd_wait lxd_api GET /1.0
    ;;
  esac
}

lxd_tls() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=dkrun -keyout "$lxd/client.key" \
    -out "$lxd/client.crt" 2>/dev/null
  lxd_lxc config set core.https_address :8443
  lxd_lxc config trust add "$lxd/client.crt"
  # shellcheck disable=SC2034 # for who sources this
  lxd_url=https://10.214.$lxd_network.1:8443
}

lxd_start() {
  local leader first
  (
    lxd_enter_cgroups >"$lxd/cgroups"
    exec unshare --net --mount --pid --cgroup --ipc --uts --fork --kill-child bash -c "$lxd_init" init "$lxd"
  ) </dev/null >"$lxd/init.log" 2>&1 &
  leader=$!
  disown $leader
  echo $leader >"$lxd/leader"
  lxd_wait test -e "$lxd/up" || return 1
  first=$(lxd_first)
  ip link add "dkx$lxd_network" type veth peer name cable netns "$first" &&
    ip addr add "10.214.$lxd_network.254/24" dev "dkx$lxd_network" &&
    ip link set "dkx$lxd_network" up &&
    lxd_wait lxd_api GET /1.0 &&
    lxd_lxc -q storage create pool btrfs size=4GiB 2>>"$lxd/init.log" && # it greets who is new
    lxd_lxc -q network create dkrun bridge.external_interfaces=cable ipv4.address="10.214.$lxd_network.1/24" \
      ipv4.dhcp.ranges="10.214.$lxd_network.10-10.214.$lxd_network.250" ipv4.nat=false ipv4.firewall=false dns.mode=none \
      ipv6.address=none ipv6.firewall=false &&
    lxd_lxc -q profile device add default root disk path=/ pool=pool &&
    lxd_lxc -q profile device add default eth0 nic network=dkrun name=eth0
}

lxd_up() {
  local program
  [ "$(id -u)" -eq 0 ] || lxd_skip "an LXD of its own wants root"
  for program in lxd lxc mkfs.btrfs mksquashfs dnsmasq debootstrap curl openssl ip ssh-keygen; do
    [ -n "$(PATH=$PATH:/usr/sbin:/sbin type -P "$program")" ] || lxd_skip "there is no $program here: packages.txt has what LXD wants"
  done
  lxd=$(mktemp -d "${TMPDIR:-/tmp}/dkrun-lxd.XXXXXX")
  chmod 711 "$lxd" # roots of containers have the rights of nobody here
  [ -n "$(trap -p EXIT)" ] || { trap lxd_down EXIT; trap 'exit 143' TERM INT; }
  claim_take "$lxd_claims" "$lxd" lxd_sweep
  lxd_network=$claim
  [ -n "$lxd_network" ] || lxd_skip "150 tests with LXD run here already"
  claim_watch "$lxd_claims" "$lxd" lxd_sweep "$lxd_repository/tests/support/lxd.sh"
  ssh-keygen -q -t ed25519 -N '' -f "$lxd/id"
  if ! unshare --net --mount --pid --cgroup --fork true 2>/dev/null || ! lxd_start; then
    tail -n 20 "$lxd/init.log" "$lxd/log" >&2 2>/dev/null || true
    lxd_down
    lxd_skip "LXD could not be started here"
  fi
}

lxd_down() {
  [ -n "$lxd_network" ] || { [ -z "$lxd" ] || rm -rf "$lxd"; return 0; }
  lxd_sweep "$lxd_network" "$lxd"
  rm -f "$lxd_claims/$lxd_network"
  lxd_network=''
}

lxd_image() {
  local recipe=$lxd_repository/tests/support/lxd_image.sh kept=$lxd_repository/build/testbed made lock
  made=$kept/lxd-$(sha256sum <"$recipe" | cut -c1-16)
  mkdir -p "$kept"
  exec {lock}>"$kept/lock"
  flock "$lock"
  if [ ! -e "$made" ]; then
    rm -rf "$kept"/lxd-*
    bash "$recipe" "$made.new" || lxd_skip "the image could not be made: is Debian's mirror reached?"
    mv "$made.new" "$made"
  fi
  exec {lock}>&-
  lxd_lxc -q image import "$made/meta.tar" "$made/rootfs.squashfs" --alias dkrun
}
