# Functions for tests of the provider ssh: dials (dial.c) to hosts of their own. Sourced by the cases after `here` is set.
# shellcheck shell=bash
#
#   $agent              a stand-in for the agent: says what it was started with, gives back what it is sent
#   up [OPTION]... HOST      a dial that comes up; $out has what it said
#   down [OPTION]... HOST    one that fails
#   has TEXT / lacks TEXT    what $out holds, literally
#   clear I             removes all that a dial left on host I
#   bin I               names of the programs that are on it
#   wait_until COMMAND...    for at most 20 s
#   none_left           does no ssh of this test run any more?
#   fail TEXT           ends the case
dial=$(realpath "${DIAL:?the program that dials}")
unset DKRUN_SSH SSH_AUTH_SOCK
# shellcheck source=../support/hosts.sh
. "${here:?}/../support/hosts.sh"

room=$(mktemp -d)
cleanup() {
  trap '' TERM INT
  [ -z "${silent_pid-}" ] || kill "$silent_pid" 2>/dev/null || true
  hosts_down
  rm -rf "$room"
}
trap cleanup EXIT
trap 'exit 143' TERM INT
out=''

fail() {
  printf 'FAILED at line %s: %s\n--- out\n%s\n' "${BASH_LINENO[${#BASH_LINENO[@]} - 2]}" "$*" "$out" >&2
  exit 1
}
# A dial that comes to something, or not; $out has what it said.
up() { out=$("$dial" -c "$config" -a "$agent" "$@" 2>"$room/err") || fail "dial $*: it should come up: $(cat "$room/err")"; has $'\ndone'; }
down() {
  if out=$("$dial" -c "$config" -a "$agent" "$@" 2>"$room/err"); then fail "dial $*: it should fail"; fi
  has 'failed: '
}
has() { [[ $out == *"$1"* ]] || fail "this is missing: $1"; }
lacks() { [[ $out != *"$1"* ]] || fail "this should not be there: $1"; }
clear() { host_exec "$1" sh -c 'rm -rf /root/.[!.]* /root/* /var/tmp/dkrun-*'; }
bin() { host_exec "$1" sh -c 'ls /root/.cache/dkrun/*/bin 2>/dev/null' || true; }
wait_until() {
  for _ in {1..500}; do
    if "$@"; then return 0; fi
    sleep 0.04
  done
  fail "never came true: $*"
}
says() { grep -qF -- "$2" "$1" 2>/dev/null; }
# ssh programs of this test, by the configuration that only it has.
ours() { pgrep_like "$hosts/ssh_config" || pgrep_like "$room/fake"; }
pgrep_like() {
  local pid
  for pid in /proc/[0-9]*; do
    if [ "${pid#/proc/}" != $$ ] && { tr '\0' ' ' <"$pid/cmdline"; } 2>/dev/null | grep -qE "^[^ ]*(ssh|sh) .*$1"; then echo "${pid#/proc/}"; return 0; fi
  done
  return 1
}
none_left() { ! ours >/dev/null; }

agent=$room/dkagent
cat >"$agent" <<'END'
#!/bin/sh
case $1 in
--version) echo stand-in ;;
bridge)
  printf '%s\n' "$*" >/root/args
  printf '%s\n' "$PATH" >/root/path
  [ ! -e /root/broken ] || { echo "dkagent: no such luck" >&2; exit 1; }
  echo "dkagent ready"
  cat
  [ ! -e /root/last-words ] || { echo "dkagent: the end" >&2; exit 3; }
  ;;
esac
exit
END
head -c 3000000 /dev/urandom >>"$agent" # as large as an agent is; never read
chmod +x "$agent"
cp "$agent" "$room/dkagent-aarch64"

hosts_up 2
config=$hosts/ssh_config

