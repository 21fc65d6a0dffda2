# Machines to log in to, for tests: h1 to hN, each a network, mount, process and host name space of this machine with an sshd of its own.
# Sourced by tests that run as root; where that or the kernel does not allow it, the test is skipped. What a host sees is this machine's
# system, read-write, but its own home, /var/tmp, /tmp, /run, passwd and boot id, and nothing of the repository or of where tests work.
# shellcheck shell=bash
#
#   hosts_up N                 starts h1..hN (skips the test with 77 where that cannot be done). hosts_down is set as a trap for EXIT by
#                              whoever has none; who has one calls it there
#   hosts_down                 takes all of it down; called twice: fine
#   $hosts                     directory with ssh_config (`ssh -F $hosts/ssh_config h1`), known_hosts, id, and hI/{home,vartmp,log}
#   host_ip I                  its address
#   host_exec I COMMAND...     runs it there, as root, not over ssh
#   host_link I up|down        its network card
#   host_drop I on|off         nothing that is sent to it or by it arrives, and nobody is told
#   host_freeze I, host_thaw I everything on it stops, as on a machine that swaps itself to death; its kernel answers on
#   host_kill_sshd I           sshd and its sessions end at once; what they started lives on
#   host_start_sshd I          starts it again
#   host_reboot I              power loss: what ran is gone without a word to anybody, home and /var/tmp stay, it has another boot id
#   host_shell I PROGRAM       the login shell of root there
#   host_password I PASSWORD   root may log in with that too
#
# Two tests at once have networks of their own (10.213.K.0/24, claimed in /run/dkrun-test-hosts/K). A watcher takes all
# down when the test is gone, however it ended; should that be killed too, the next test that starts does.

hosts='' hosts_network=''
# $hosts/hI/leader: pid, here, of what started the host; its only child is the host's first process. In a file: a subshell may start it anew.

hosts_skip() { echo "skipped: $*"; exit 77; }

hosts_repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
hosts_claims=/run/dkrun-test-hosts
# shellcheck source=claim.sh
. "$hosts_repository/tests/support/claim.sh"

host_ip() { echo "10.213.$hosts_network.$((10 + $1))"; }
host_space() { echo "dk$hosts_network-h$1"; }
host_card() { echo "dkv$hosts_network-$1"; }

# Removes what a network may have left, here or in a test that was killed. Its lock is held.
hosts_sweep() {
  local k=$1 space card pid
  for space in /run/netns/dk"$k"-h*; do
    [ -e "$space" ] || continue
    for pid in $(ip netns pids "${space##*/}" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
    ip netns del "${space##*/}" 2>/dev/null || true
  done
  for card in /sys/class/net/dkv"$k"-* /sys/class/net/dkb"$k"; do
    [ -e "$card" ] && { ip link del "${card##*/}" 2>/dev/null || true; }
  done
  if [[ $2 == */dkrun-hosts.* ]]; then rm -rf "$2"; fi
}

# The first process of a host: makes its world, keeps sshd, reaps. $1 is its directory, $2 its name.
hosts_init=$(
  cat <<'END'
set -e
dir=$1 name=$2 repository=$3
mount --make-rprivate /
mount -t proc proc /proc
echo "$name" >/proc/sys/kernel/hostname
mount --bind "$dir/boot_id" /proc/sys/kernel/random/boot_id
mount --bind "$dir/passwd" /etc/passwd
mount --bind "$dir/shadow" /etc/shadow
mount --bind "$dir/vartmp" /var/tmp
mount -t tmpfs -o mode=755 run /run
mkdir /run/sshd /run/host
mount --rbind "$dir" /run/host
[ "$repository" = / ] || mount -t tmpfs -o mode=755,size=1m nothing "$repository"
mount --bind /run/host/home /root
[ ! -d /dev/shm ] || mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
cd /
export HOME=/root
/usr/sbin/sshd -f /run/host/sshd_config -E /run/host/log
echo up >/run/host/up
while :; do sleep 3600 & wait $!; done
END
)

host_leader() { cat "$hosts/h$1/leader"; }

host_start() {
  local i=$1 space pid
  space=$(host_space "$i")
  cat /proc/sys/kernel/random/uuid >"$hosts/h$i/boot_id"
  rm -f "$hosts/h$i/up"
  # A host ends with what started it: --kill-child.
  ip netns exec "$space" unshare --mount --uts --ipc --pid --fork --kill-child \
    bash -c "$hosts_init" init "$hosts/h$i" "h$i" "$hosts_repository" \
    </dev/null >"$hosts/h$i/init.log" 2>&1 &
  echo $! >"$hosts/h$i/leader"
  disown $!
  for _ in {1..500}; do
    [ ! -e "$hosts/h$i/up" ] || return 0
    kill -0 "$(host_leader "$i")" 2>/dev/null || break
    sleep 0.02
  done
  return 1
}

# What is its pid 1, seen from here.
host_first() {
  local pid leader
  leader=$(host_leader "$1")
  read -r pid _ <"/proc/$leader/task/$leader/children"
  echo "$pid"
}

host_exec() {
  local i=$1
  shift
  nsenter -t "$(host_first "$i")" --mount --uts --ipc --net --pid --root=/proc/"$(host_first "$i")"/root --wd=/ \
    env HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

hosts_up() {
  local n=$1 i space card ip
  [ "$(id -u)" -eq 0 ] || hosts_skip "hosts of their own want root"
  if ! command -v ip >/dev/null || ! command -v ssh-keygen >/dev/null || [ ! -x /usr/sbin/sshd ]; then
    hosts_skip "hosts want iproute2, openssh-server and openssh-client"
  fi
  hosts=$(mktemp -d "${TMPDIR:-/tmp}/dkrun-hosts.XXXXXX")
  [ -n "$(trap -p EXIT)" ] || { trap hosts_down EXIT; trap 'exit 143' TERM INT; }
  claim_take "$hosts_claims" "$hosts" hosts_sweep
  hosts_network=$claim
  [ -n "$hosts_network" ] || hosts_skip "150 tests with hosts run here already"
  claim_watch "$hosts_claims" "$hosts" hosts_sweep "$hosts_repository/tests/support/hosts.sh"
  if ! ip link add "dkb$hosts_network" type bridge 2>/dev/null || ! unshare --mount --uts --ipc --pid --fork true 2>/dev/null; then
    hosts_down
    hosts_skip "this kernel, or what this runs in, lets nobody make networks"
  fi
  ip addr add "10.213.$hosts_network.1/24" dev "dkb$hosts_network"
  ip link set "dkb$hosts_network" up
  ssh-keygen -q -t ed25519 -N '' -f "$hosts/id"
  : >"$hosts/known_hosts"
  : >"$hosts/ssh_config"
  for ((i = 1; i <= n; i++)); do
    space=$(host_space "$i") card=$(host_card "$i") ip=$(host_ip "$i")
    mkdir -p "$hosts/h$i/home" "$hosts/h$i/vartmp"
    chmod 700 "$hosts/h$i/home"
    chmod 1777 "$hosts/h$i/vartmp"
    cp "$hosts/id.pub" "$hosts/h$i/authorized_keys"
    cp /etc/passwd "$hosts/h$i/passwd"
    (umask 077 && cp /etc/shadow "$hosts/h$i/shadow")
    ssh-keygen -q -t ed25519 -N '' -f "$hosts/h$i/hostkey"
    echo "$ip $(cut -d' ' -f1,2 "$hosts/h$i/hostkey.pub")" >>"$hosts/known_hosts"
    cat >"$hosts/h$i/sshd_config" <<CONF
ListenAddress $ip:22
HostKey /run/host/hostkey
PidFile /run/sshd.pid
AuthorizedKeysFile /run/host/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxSessions 100
MaxStartups 100
UseDNS no
PrintMotd no
PrintLastLog no
CONF
    cat >>"$hosts/ssh_config" <<CONF
Host h$i
  HostName $ip
CONF
    if ! { ip netns add "$space" && ip link add "$card" type veth peer name eth0 netns "$space" &&
      ip link set "$card" master "dkb$hosts_network" up && ip -n "$space" addr add "$ip/24" dev eth0 &&
      ip -n "$space" link set lo up && ip -n "$space" link set eth0 up; } 2>"$hosts/why" || ! host_start "$i"; then
      cat "$hosts/why" "$hosts/h$i"/*.log >&2 2>/dev/null || true
      hosts_down
      hosts_skip "a host could not be started here"
    fi
  done
  cat >>"$hosts/ssh_config" <<CONF
Host *
  User root
  IdentityFile $hosts/id
  IdentitiesOnly yes
  UserKnownHostsFile $hosts/known_hosts
  GlobalKnownHostsFile /dev/null
CONF
}

hosts_down() {
  local leader
  [ -n "$hosts_network" ] || { [ -z "$hosts" ] || rm -rf "$hosts"; return 0; }
  for leader in "$hosts"/h*/leader; do
    [ ! -e "$leader" ] || kill -KILL "$(cat "$leader")" 2>/dev/null || true
  done
  hosts_sweep "$hosts_network" "$hosts"
  rm -f "$hosts_claims/$hosts_network"
  hosts_network=''
}

host_link() { ip link set "$(host_card "$1")" "$2"; }

host_drop() {
  case $2 in
  on) ip link set "$(host_card "$1")" nomaster ;;
  off) ip link set "$(host_card "$1")" master "dkb$hosts_network" ;;
  esac
}

# Every process of it gets the signal; those that one of them starts meanwhile too.
host_signal() {
  local pid
  for _ in 1 2 3; do
    for pid in $(ip netns pids "$(host_space "$1")"); do kill "-$2" "$pid" 2>/dev/null || true; done
  done
}
host_freeze() { host_signal "$1" STOP; }
host_thaw() { host_signal "$1" CONT; }

host_kill_sshd() {
  local pid
  for pid in $(ip netns pids "$(host_space "$1")"); do
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = sshd ]; then kill -KILL "$pid" 2>/dev/null || true; fi
  done
}

host_start_sshd() { host_exec "$1" /usr/sbin/sshd -f /run/host/sshd_config -E /run/host/log; }

host_reboot() {
  local i=$1
  host_drop "$i" on
  kill -KILL "$(host_first "$i")" 2>/dev/null || true
  for _ in {1..500}; do
    [ -n "$(ip netns pids "$(host_space "$i")")" ] || break
    sleep 0.02
  done
  host_start "$i" || { echo "h$i did not start again" >&2; cat "$hosts/h$i"/*log >&2; return 1; }
  host_drop "$i" off
}

host_shell() {
  # In place: the file is mounted.
  local text
  text=$(sed "s|^\(root:.*:\)[^:]*\$|\1$2|" "$hosts/h$1/passwd")
  printf '%s\n' "$text" >"$hosts/h$1/passwd"
}

host_password() {
  local text hash
  # shellcheck disable=SC2016 # the sign of a hash's kind
  hash=$(perl -e 'print crypt($ARGV[0], q($6$dkrun$))' "$2")
  text=$(sed "s|^root:[^:]*:|root:$hash:|" "$hosts/h$1/shadow")
  printf '%s\n' "$text" >"$hosts/h$1/shadow"
  text=$(cat "$hosts/h$1/sshd_config")
  printf 'PasswordAuthentication yes\nPermitRootLogin yes\n%s\n' "$text" >"$hosts/h$1/sshd_config"
  host_kill_sshd "$1"
  host_start_sshd "$1"
}
