#!/bin/bash
# The provider ssh against real sshds: what a dial comes to when all is well, when a login talks, when one is not let in, when a host goes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"

# Nothing comes of it for a minute: looked at in the end.
printf '#!/bin/sh\nexec cat >/dev/null\n' >"$room/fake-silent"
chmod +x "$room"/fake-silent
DKRUN_SSH=$room/fake-silent "$dial" -a "$agent" h1 >"$room/silent" 2>&1 &
silent_pid=$!

# All is well

up h1
has $'up\narch: '"$(uname -m)"
has 'node: h1'
has "libc: $(getconf GNU_LIBC_VERSION | sed 's/glibc //')"
has "$(grep ^VERSION_ID= /etc/os-release)"
has 'root: /root/.cache/dkrun/h1/0000000000000001'
has $'note: \n'
has 'echo: hello, agent'
first=$(bin 1; host_exec 1 stat -c %i:%a "/root/.cache/dkrun/h1/bin/$(bin 1)")
[[ $first == *:700 ]] || fail "mode: $first"
[ "$(host_exec 1 cat /root/args)" = 'bridge --root /root/.cache/dkrun/h1/0000000000000001' ] || fail "args: $(host_exec 1 cat /root/args)"
up -n 3 -s 2 h1
[ "$(host_exec 1 cat /root/args)" = 'bridge --root /root/.cache/dkrun/h1/0000000000000002 --slots 3 --nice 10 --gpus 1 --leave 2' ] ||
  fail "args: $(host_exec 1 cat /root/args)"
[ "$first" = "$(bin 1; host_exec 1 stat -c %i:%a "/root/.cache/dkrun/h1/bin/$(bin 1)")" ] || fail "it was brought twice"

# The agent itself, which goes on when the dial is over
stand_in=$agent agent=$(realpath "${DKAGENT:?the agent}")
up -q -s 3 h1
serves() { host_exec 1 sh -c 'for p in /proc/[0-9]*; do tr "\0" " " <$p/cmdline; echo; done' 2>/dev/null | grep -q "dkagent-[0-9a-f]* serve --root $1"; }
wait_until serves /root/.cache/dkrun/h1/0000000000000003
up -q -s 3 h1
agent=$stand_in
host_reboot 1
clear 1
up h1

# A program that is not what it should be is replaced
program=/root/.cache/dkrun/h1/bin/$(bin 1)
for harm in "truncate -s 1000000 $program" "truncate -s 0 $program" "sed -i s/stand-in/Stand-in/ $program" "chmod 600 $program" "rm $program"; do
  host_exec 1 sh -c "$harm"
  up h1
  [ "$(host_exec 1 sha256sum "$program" | cut -c1-64)" = "$(sha256sum "$agent" | cut -c1-64)" ] || fail "after $harm it is still altered"
done

# Several at once, to a host that has nothing: all come up, one program, nothing else is left
clear 1
for i in 1 2 3 4 5 6; do
  "$dial" -c "$config" -a "$agent" -s $i h1 >"$room/at-once-$i" 2>&1 &
  pids[i]=$!
done
for i in 1 2 3 4 5 6; do wait "${pids[i]}" || fail "number $i of six at once: $(cat "$room/at-once-$i")"; done
[ "$(host_exec 1 sh -c 'ls -A /root/.cache/dkrun/h1/bin' | wc -l)" -eq 1 ] || fail "left: $(host_exec 1 ls -A /root/.cache/dkrun/h1/bin)"

# Logins that talk, in each way there is; PATH is that of a login shell
host_exec 1 sh -c 'printf "echo from .bashrc; printf \"dk1 no\"; head -c 3000 /dev/urandom; printf \"no line end\"\n" >/root/.bashrc
  printf "echo motd; echo dkagent is not ready; echo oops >&2; read x; printf \"no line end\"; export PATH=/from/profile:\$PATH\n" >/root/.profile'
echo 'Banner /run/host/banner' >>"$hosts/h1/sshd_config"
printf 'Host key verification failed.\nAuthorized use only.\n' >"$hosts/h1/banner"
host_kill_sshd 1
host_start_sshd 1
for shell in /bin/bash /bin/dash /bin/zsh /bin/tcsh /usr/bin/fish /bin/busybox; do
  [ -x "$shell" ] || { echo "without $shell, which is not installed"; continue; }
  if [ "$shell" = /bin/busybox ]; then
    host_exec 1 sh -c 'mkdir -p /run/bb; cp /bin/busybox /run/bb/ash'
    shell=/run/bb/ash
  fi
  host_shell 1 $shell
  host_exec 1 cp /root/.profile /root/.zprofile
  up h1
  has 'echo: hello, agent'
  case $shell in
  *csh | *fish) ;;
  *) [[ $(host_exec 1 cat /root/path) == /from/profile:* ]] || fail "PATH with $shell: $(host_exec 1 cat /root/path)" ;;
  esac
done
host_shell 1 /usr/sbin/nologin
down h1
has 'This account is currently not available.'
host_shell 1 /bin/bash
host_exec 1 sh -c 'echo "cat /dev/zero" >/root/.bashrc'
down h1
has 'prints more than 64 KiB'
host_exec 1 sh -c 'echo "yes dk1 note hello" >/root/.bashrc'
down h1
has 'prints more than 64 KiB'
clear 1

# The agent does not start; it ends; the host goes
host_exec 1 touch /root/broken
down h1
has 'the agent did not start there: dkagent: no such luck'
host_exec 1 sh -c 'rm /root/broken; echo "exit 7" >/root/.profile'
down h1
has 'the agent did not start there'
clear 1
goes() { # what happens to h1 while it is up; the words in the end
  local words=$1
  shift
  rm -f "$room/goes"
  "$dial" -c "$config" -a "$agent" -w h1 >"$room/goes" 2>&1 &
  local pid=$!
  wait_until says "$room/goes" 'echo: hello'
  "$@"
  wait_until says "$room/goes" 'ended: '
  wait $pid || true
  out=$(cat "$room/goes")
  has "$words"
}
goes 'not responding' host_drop 1 on
host_drop 1 off
goes 'not responding' host_freeze 1
host_thaw 1
goes 'ended: ' host_kill_sshd 1
lacks 'nothing is known'
host_start_sshd 1
goes 'ended: ' host_reboot 1
lacks 'nothing is known'
up h1
end_cat() { host_exec 1 sh -c 'touch /root/last-words; for p in /proc/[0-9]*; do case $(cat $p/comm 2>/dev/null) in cat) kill ${p#/proc/} ;; esac; done'; }
goes 'ended: dkagent: the end' end_cat
clear 1

# Not let in, not there
sed "s|$hosts/known_hosts|$room/known_nothing|" "$config" >"$room/unknown"
: >"$room/known_nothing"
for strict in '' yes no; do
  { [ -z "$strict" ] || echo "StrictHostKeyChecking $strict"; cat "$room/unknown"; } >"$room/strict"
  if [ "$strict" = no ]; then
    up -c "$room/strict" h1 # their own choice
    : >"$room/known_nothing"
  else
    down -c "$room/strict" h1
    has 'its host key is not known here'
    has "help: connect once by hand, and compare the key that is shown: ssh -F $room/strict h1"
  fi
done
[ ! -s "$room/known_nothing" ] || fail "a key was taken"
{ echo "$(host_ip 1) $(cut -d' ' -f1,2 "$hosts/h2/hostkey.pub")"; } >"$room/known_nothing"
down -c "$room/unknown" h1
has 'its host key is another one than is known here'
ssh-keygen -q -t ed25519 -N '' -f "$room/other"
sed "s|$hosts/id|$room/other|" "$config" >"$room/wrong"
down -c "$room/wrong" h1
has 'ssh is not let in: root@'
has 'Permission denied (publickey)'
has 'help: where a password or a code is asked for, give it once: dkrun providers check lab'
down -p 4 h1
has 'no ssh server answers there: ssh: connect to host'
down no-such-host.invalid
has 'Could not resolve hostname no-such-host.invalid'
down -- '-oProxyCommand=touch x'
has 'is no name of a host'
host_drop 2 on
down h2
has 'it does not answer: ssh: connect to host'
host_drop 2 off
echo 'Nonsense yes' >"$room/nonsense"
down -c "$room/nonsense" h1
has 'Bad configuration option: nonsense'
down -c "$room/no-such-file" h1
has 'no-such-file'
out=$(PATH=/nonexistent "$dial" -a "$agent" h1 2>/dev/null) && fail 'without ssh it should fail'
has 'ssh is not installed here'
out=$(DKRUN_SSH=/nonexistent/ssh "$dial" -a "$agent" h1 2>/dev/null) && fail 'without ssh it should fail'
has '/nonexistent/ssh'

# Through another host, of which no question is asked either
printf 'Host h2\n  ProxyJump h1\n' | cat - "$config" >"$room/jump"
up -c "$room/jump" h2
has 'node: h2'
printf 'Host h1\n  IdentityFile %s\nHost h2\n  ProxyJump h1\n' "$room/other" | cat - <(sed '/IdentityFile/d' "$config") >"$room/jump"
down -c "$room/jump" h2
has 'Permission denied'
# Options for people at a terminal do not get into the way
printf 'RemoteCommand echo no\nRequestTTY force\nPermitLocalCommand yes\nLocalCommand echo no; cat\nLogLevel QUIET\nForwardAgent yes\nLocalForward 127.0.0.1:7 127.0.0.1:7\nEscapeChar a\n' |
  cat - "$config" >"$room/people"
up -c "$room/people" h1
down -c "$room/people" -p 4 h1
has 'Connection refused'

# Nothing came of that one for a minute
wait_until says "$room/silent" over
out=$(cat "$room/silent")
has 'nothing came of it for 60 s while ssh logged in'
silent_pid=
wait_until none_left
