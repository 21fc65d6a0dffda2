#!/bin/bash
# Hosts in trouble, each kind by itself: what people are told, how soon, and that the run goes on. (vanish.sh has all at once.)
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/hosts.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/hosts.sh"

shared='' # a mount that has to go before the hosts do
unshare_home() { [ -z "$shared" ] || umount -l "$shared"; shared=''; }
at_end+=(unshare_home hosts_down)
hosts_up 3

mkdir -p "$XDG_CONFIG_HOME/dkrun"
providers() { # hosts, further fields
  echo "provider lab { kind = \"ssh\"  hosts = [$1]  config = \"${config:-$hosts/ssh_config}\"  ${2-} }" >"$XDG_CONFIG_HOME/dkrun/providers.dk"
}
start() { # FILE [dkrun]
  "${2:-$dkrun}" run "$1" --foreground --plain >"$room/log" 2>&1 </dev/null &
  engine=$!
}
ends_well() { wait "$engine" || fail "the run failed: $(cat "$room/log")"; }
says() { grep -q -- "$1" "$room/log" || { is_there "$engine" || fail "the run ended: $(cat "$room/log")"; return 1; }; }
began_at() { host_exec "$1" test -e "/var/tmp/began.$2"; }
repo

# --- one ssh a host, and not one more, while an engine works ---

providers '"h1", "h2"'
put wait.dk <<'END'
grid g { x in 1..4 }
task wait over g {
  run = "echo {{x}} > /var/tmp/began.wait; until [ -e /var/tmp/go.wait ]; do sleep 0.1; done; uname -n"
}
END
commit
# All ssh that the process, or what it started, has.
ssh_below() {
  local pid n=0
  # shellcheck disable=SC2013 # words, one line
  for pid in $(cat "/proc/$1/task"/*/children 2>/dev/null); do
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != ssh ] || n=$((n + 1))
    n=$((n + $(ssh_below "$pid")))
  done
  echo "$n"
}
start wait.dk
wait_until began_at 1 wait
wait_until began_at 2 wait
for _ in 1 2 3; do
  [ "$(ssh_below "$engine")" -eq 2 ] || fail "$(ssh_below "$engine") ssh for two hosts"
  sleep 0.5
done

# --- packets that nobody hears of: told within 15 s, and told when it is there again; the task went on ---

host_drop 2 on
from=$(date +%s%N)
while ! says '^h2: .*connecting again'; do
  [ $((($(date +%s%N) - from) / 1000000)) -lt 15000 ] || fail "not told within 15 s: $(cat "$room/log")"
  sleep 0.1
done
echo "a dropped link was told after $((($(date +%s%N) - from) / 1000000)) ms"
host_drop 2 off
wait_until says '^h2: it is there again'
for i in 1 2; do host_exec $i touch /var/tmp/go.wait; done
ends_well
says '4 ran, 0 cached, 0 failed' || fail "$(cat "$room/log")"

# --- no room there while a task writes: it says where; the others are not harmed ---

host_exec 2 mount -t tmpfs -o size=12m full /root
put big.dk <<'END'
task big {
  outputs { out = "out" }
  run = "uname -n; head -c 30000000 /dev/zero > out"
}
END
commit
providers '"h2"'
run -e 1 run big.dk --foreground
has 'no space, or an I/O error: on h2: '

# --- and while a transfer goes there: it is said, and the task runs where there is room ---

head -c 30000000 /dev/urandom >large
put use.dk <<'END'
grid g { x in 1..4 }
task use over g {
  inputs { large = file("large") }
  run = "uname -n; wc -c < {{inputs.large}}; sleep 0.3; : {{x}}"
}
END
commit
providers '"h1", "h2"'
run run use.dk --foreground
has '4 ran, 0 cached, 0 failed'
for t in t1 t2 t3 t4; do
  run logs $t
  is $'h1\n30000000'
done
host_exec 2 umount -l /root

# --- its agent is replaced by another version while a task runs there: the task goes on, and is not started again ---

providers '"h2"'
put long.dk <<'END'
task long {
  outputs { out = "out" }
  run = "echo $$ >> /var/tmp/began.long; until [ -e /var/tmp/go.long ]; do sleep 0.1; done; echo done > out; cat /var/tmp/began.long | wc -l"
}
END
commit
start long.dk
wait_until began_at 2 long
kill -KILL "$engine"
wait "$engine" 2>/dev/null || true
mkdir "$room/new"
cp "$dkrun" "$room/new/dkrun"
cp "$(dirname "$dkrun")/dkagent" "$room/new/dkagent" 2>/dev/null || cp "$(dirname "$dkrun")/../agent/dkagent" "$room/new/dkagent"
echo new >>"$room/new/dkagent"
programs() { find "$hosts/h2/home/.cache/dkrun/h2/bin" -name 'dkagent-*' -type f | sort; }
programs >"$room/before"
start long.dk "$room/new/dkrun"
serving() { # the program file of the daemon there
  local pid
  for pid in $(ip netns pids "$(host_space 2)"); do
    if { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -q ' serve '; then readlink "/proc/$pid/exe"; fi
  done
}
# The only one: the one that served in the folder that was unmounted has gone as well.
is_replaced() { [ -n "$(programs | comm -13 "$room/before" -)" ] && [[ "$(serving)" == /*"/$(basename "$(programs | comm -13 "$room/before" -)")" ]] && [ "$(serving | wc -l)" -eq 1 ]; }
wait_until is_replaced
host_exec 2 touch /var/tmp/go.long
ends_well
run logs long
is 1

# --- a home that two hosts share: each has a folder of its own ---

shared=$hosts/h2/home # what h2 finds when it starts
mount --bind "$hosts/h1/home" "$shared"
host_reboot 2
providers '"h1", "h2"'
put both.dk <<'END'
grid g { x in 1..12 }
task square over g {
  outputs { out = "out" }
  metrics { n = match(stdout, 'n=([0-9]+)') }
  run = "uname -n; sleep 0.3; x={{x}}; echo n=$((x * x)); echo $((x * x)) > out"
}
task sum {
  inputs { all = gather(square.out) }
  metrics { n = match(stdout, 'n=([0-9]+)') }
  run = "find -L {{inputs.all}} -name out -type f -exec cat {} + | awk '{ s += $1 } END { print \"n=\" s }'"
}
END
commit
run run both.dk --foreground
has '13 ran, 0 cached, 0 failed'
run results --format json
for t in t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11 t12; do run logs $t; printf '%s\n' "$out"; done | grep -cxE 'h1|h2' | grep -qx 12 || fail "not twelve tasks on them"
run logs sum
has n=650
for i in 1 2; do [ -d "$hosts/h1/home/.cache/dkrun/h$i" ] || fail "h$i has no folder of its own"; done

# --- a code that is good for one login: asked for once, and then not again ---

host_code() { # host, code
  cat >"$hosts/h$1/pam" <<'END'
auth required pam_exec.so expose_authtok quiet /run/host/check_code
auth required pam_permit.so
account required pam_permit.so
session required pam_permit.so
END
  cat >"$hosts/h$1/check_code" <<'END'
#!/bin/sh
said=$(tr -d '\000')
[ -s /run/host/code ] && [ "$said" = "$(cat /run/host/code)" ] && : >/run/host/code
END
  chmod +x "$hosts/h$1/check_code"
  echo "$2" >"$hosts/h$1/code"
  { printf 'UsePAM yes\nKbdInteractiveAuthentication yes\nPermitRootLogin yes\nAuthenticationMethods keyboard-interactive\n' && cat "$hosts/h$1/sshd_config"; } >"$room/sshd_config"
  cp "$room/sshd_config" "$hosts/h$1/sshd_config"
  host_exec "$1" mount --bind /run/host/pam /etc/pam.d/sshd
  host_kill_sshd "$1"
  host_start_sshd "$1"
}
if command -v script >/dev/null && [ -e /etc/pam.d/sshd ]; then
  host_code 3 135790
  sed '/IdentityFile/d' "$hosts/ssh_config" >"$hosts/no_key"
  config=$hosts/no_key providers '"h3"'
  run -e 4 providers check
  has 'problem   lab h3  ssh is not let in'
  masters() { find "/tmp/dkrun-$(id -u)" -maxdepth 1 -type s -name 'ssh-*' 2>/dev/null | sort; }
  masters >"$room/masters"
  mkfifo "$room/typed"
  script -qefc "'$dkrun' providers check" "$room/shown" <"$room/typed" >/dev/null 2>&1 &
  asked=$!
  exec 8>"$room/typed"
  prompted() { grep -q 'Password: ' "$room/shown" 2>/dev/null; }
  wait_until prompted
  echo 135790 >&8
  wait "$asked" || fail "exit code $?: $(<"$room/shown")"
  exec 8>&-
  grep -q 'ok        lab h3  x86_64' "$room/shown" || fail "$(<"$room/shown")"
  [ "$(grep -o 'Password: ' "$room/shown" | wc -l)" -eq 1 ] || fail "asked more than once: $(<"$room/shown")"
  [ ! -s "$hosts/h3/code" ] || fail "the code was not used"
  run providers check
  has 'ok: 1 provider, 1 host'
  put code.dk <<'END'
task code { run = "uname -n" }
END
  commit
  run run code.dk --foreground
  run logs code
  is h3
  for socket in $(masters | comm -13 "$room/masters" -); do ssh -o ControlPath="$socket" -O exit x 2>/dev/null || true; done
fi
