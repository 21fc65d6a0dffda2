#!/bin/bash
# Hosts that want a password: a person gives it once, on a terminal, and later dials go through the master that this leaves. And a master
# of the user's own is used when nothing else lets us in.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"
command -v script >/dev/null || { echo "skipped: no script(1) here, which makes terminals"; exit 77; }
host_password 1 'correct horse'
sed '/IdentityFile/d' "$config" >"$room/no-key"
config=$room/no-key

masters() { find "/tmp/dkrun-$(id -u)" -maxdepth 1 -type s -name 'ssh-*' 2>/dev/null | sort; }
masters >"$room/before" # others may have theirs
ours_only() { masters | comm -13 "$room/before" -; }
end_masters() {
  local socket
  for socket in $(ours_only); do ssh -o ControlPath="$socket" -O exit x 2>/dev/null || true; done
  [ ! -e "$room/theirs" ] || ssh -o ControlPath="$room/theirs" -O exit x 2>/dev/null || true
}
trap 'end_masters; cleanup' EXIT

down h1
has 'ssh is not let in: root@'
has 'Permission denied (publickey,password)'
has 'help: where a password or a code is asked for, give it once: dkrun providers check lab'

# On a terminal ssh asks; each line of ARGS answers when what is before it was seen.
ask() { # the answers; $out is what the terminal showed, $status the exit code
  local answer seen=0
  rm -f "$room/typed" "$room/shown"
  mkfifo "$room/typed"
  script -qefc "$dial -c $config -m h1" "$room/shown" <"$room/typed" >/dev/null 2>&1 &
  local pid=$!
  exec 8>"$room/typed"
  for answer; do
    seen=$((seen + 1))
    wait_until prompted $seen
    printf '%s\n' "$answer" >&8
  done
  status=0
  wait $pid || status=$?
  exec 8>&-
  out=$(tr -d '\r' <"$room/shown")
}
prompted() { [ -e "$room/shown" ] && [ "$(grep -cE "password: ?|\]\)\? ?" "$room/shown")" -ge "$1" ]; }

ask wrong wrong wrong
[ $status -ne 0 ] || fail 'a wrong password should not do'
has 'ssh could not log in to h1'
[ -z "$(ours_only)" ] || fail "a master: $(ours_only)"

ask 'correct horse'
[ $status -eq 0 ] || fail "exit code $status"
has "password: "
has master
[ "$(ours_only | wc -l)" -eq 1 ] || fail "masters: $(ours_only)"
up h1
has 'node: h1'
up -s 2 h1
ask
[ $status -eq 0 ] || fail 'the second time nothing should be asked'
lacks 'password'
# The user's name leads elsewhere: not through it
down -l nobody h1
has 'Permission denied'
# The connection behind it is lost: it ends, and what remains of its socket is no hindrance
host_drop 1 on
no_master() { ! ssh -o ControlPath="$socket" -O check x 2>/dev/null; }
socket=$(ours_only)
wait_until no_master
host_drop 1 off
[ -S "$socket" ] || perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un($ARGV[0])) or die' "$socket"
down h1
has 'Permission denied (publickey,password)'
ask 'correct horse'
[ $status -eq 0 ] || fail "a stale socket: $out"
up h1
ssh -o ControlPath="$socket" -O exit x 2>/dev/null
[ ! -e "$socket" ] || fail 'it did not end'


# An unknown host key: a person sees it and says yes, which only their ssh writes down
sed "s|$hosts/known_hosts|$room/known|" "$config" >"$room/unknown"
config=$room/unknown
down h1
has 'its host key is not known here'
ask yes 'correct horse'
[ $status -eq 0 ] || fail "exit code $status"
has 'ED25519 key fingerprint is'
up h1
end_masters

# Theirs: it is used, and it is not ours to end
printf 'ControlPath %s/theirs\n' "$room" | cat - "$hosts/ssh_config" >"$room/theirs-config"
ssh -F "$room/theirs-config" -o ControlMaster=yes -f -N h1 2>/dev/null
up -c "$room/theirs-config" h1
ps_theirs() { ssh -o ControlPath="$room/theirs" -O check x 2>/dev/null; }
ps_theirs || fail 'their master has ended'
: >"$hosts/h1/authorized_keys"
up -c "$room/theirs-config" h1
has 'echo: hello, agent'
ps_theirs || fail 'their master has ended'
ssh -o ControlPath="$room/theirs" -O exit x 2>/dev/null
down -c "$room/theirs-config" h1
has 'Permission denied (publickey,password)'
