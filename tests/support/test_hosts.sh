#!/bin/bash
# The hosts of hosts.sh are what it says: machines of their own that can be frozen, cut off, rebooted; of a killed test nothing remains.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=hosts.sh
. "$here/hosts.sh"
fail() { echo "FAILED at line ${BASH_LINENO[0]}: $*" >&2; exit 1; }
on() { local i=$1; shift; timeout 20 ssh -F "$hosts/ssh_config" -o BatchMode=yes -o ConnectTimeout=3 "h$i" "$@" 2>/dev/null; }
wait_until() {
  for _ in {1..250}; do
    if "$@"; then return 0; fi
    sleep 0.04
  done
  fail "never came true: $*"
}

hosts_up 2
[ "$(on 1 uname -n)$(on 2 uname -n)" = h1h2 ] || fail 'names'
on 1 'touch ~/a /var/tmp/a /tmp/a /run/a'
[ "$(on 2 'ls ~ /var/tmp /tmp' | grep -c '^a$')" -eq 0 ] || fail 'they share files'
[ -z "$(ls -d /tmp/a /run/a 2>/dev/null)" ] || fail 'they share files with this machine'
[ "$(on 1 "ls $(printf %q "$hosts_repository") 2>/dev/null | wc -l")" -eq 0 ] || fail 'they see the repository'
boot_id() { on "$1" cat /proc/sys/kernel/random/boot_id; }
[ "$(boot_id 1)" != "$(boot_id 2)" ] || fail 'one boot id'
before=$(boot_id 1)
on 1 'nohup sleep 1000 >/dev/null 2>&1 &'
host_kill_sshd 1
if on 1 true; then fail 'its sshd was killed'; fi
host_start_sshd 1
[ "$(on 1 'ps ax' | grep -c 'sleep 1000')" -eq 1 ] || fail 'what was started lives on'
host_reboot 1
[ "$(boot_id 1)" != "$before" ] || fail 'another boot, another id'
[ "$(on 1 'ps ax' | grep -c 'sleep 1000')" -eq 0 ] || fail 'it survived a reboot'
[ "$(on 1 'ls ~ /var/tmp /tmp /run' | grep -c '^a$')" -eq 2 ] || fail 'the disks stay, /tmp and /run do not'
for way in freeze drop link; do
  case $way in freeze) host_freeze 1 ;; drop) host_drop 1 on ;; link) host_link 1 down ;; esac
  if timeout 2 ssh -F "$hosts/ssh_config" h1 true 2>/dev/null; then fail "$way: it answers"; fi
  on 2 true || fail "$way: the other one does not answer"
  case $way in freeze) host_thaw 1 ;; drop) host_drop 1 off ;; link) host_link 1 up ;; esac
  wait_until on 1 true
done
host_shell 1 /bin/dash
# shellcheck disable=SC2016 # its own shell's name
[ "$(on 1 'echo $0')" = dash ] || fail 'the shell'

nothing_is_left() {
  local left
  left=$(ls -d "$place" "/run/netns/dk$network-h1" "/sys/class/net/dkb$network" 2>/dev/null || true)
  [ -z "$left" ] || fail "left: $left"
}

# Another test at the same time has its own; killed, nothing of it stays.
cat >"$hosts/other" <<END
. "$here/hosts.sh"
hosts_up 1
echo "\$hosts_network \$hosts \$(host_first 1)" >"$hosts/other-is"
kill -STOP \$\$ # it waits for its end
END
bash "$hosts/other" &
other=$!
wait_until test -s "$hosts/other-is"
read -r network place first <"$hosts/other-is"
[ "$network" != "$hosts_network" ] || fail 'one network for two'
kill -KILL $other
wait $other 2>/dev/null || true
is_gone() { [ ! -e "/proc/$first" ] && [ ! -e "$hosts_claims/$network" ]; }
wait_until is_gone
nothing_is_left
# Its watcher was killed too, and the number is another process's now
ip netns add "dk$network-h1" && place=$(mktemp -d "${TMPDIR:-/tmp}/dkrun-hosts.XXXXXX")
echo "$$ 1 $place" >"$hosts_claims/$network"
bash -c '. "$1"; hosts_up 1' test "$here/hosts.sh"
nothing_is_left
# Hosts that a subshell started anew stay
(host_reboot 1)
on 1 true || fail 'it ended with the subshell'
network=$hosts_network place=$hosts
hosts_down
nothing_is_left
