#!/bin/bash
# Memory: a task that takes more than it said is ended as `oom`. `cgroups`: just what the kernel holds (cgroups.sh).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo

eater
commit
export MARKS=$room/marks
mkdir -p "$MARKS"

watched() {
  put same.dk <<'EOF'
task eat {
  code  = ["eat.pl"]
  needs = { memory = 32MiB }
  retry { oom = 1 }
  run   = "perl eat.pl 100"
}
EOF
  run -e 1 run same.dk
  has 'attempt 2 follows'
  lacks 'follows with' # more: that is grow.sh's
  has '2 attempts'
  has 'its limit is 32 MiB'
}
[ "${1-}" = cgroups ] || watched

# --- held by the kernel, where dkrun may make cgroups ---
export DKRUN_CGROUP=${DK_TEST_CGROUP:-auto}
run doctor
if [[ $out != *'`needs { memory }` is enforced by cgroup v'* ]]; then
  grep '`needs { memory }`' <<<"$out"
  echo "limits by cgroups are not tried here"
  [ "${1-}" = cgroups ] && exit 77
  exit 0
fi
groups=$(sed -n 's/.*is enforced by cgroup v[12], in \(.*\)/\1/p' <<<"$out")
left() { find "$groups" -mindepth 1 -maxdepth 1 -name 'dkrun-*-*' 2>/dev/null; }
[ -z "$(left)" ] || fail "doctor left a group: $(left)"
stop_agents # they were started without groups

# Not for a moment more than it said, however fast it is.
put fast.dk <<'EOF'
task eat {
  needs = { memory = 24MiB }
  run   = "perl -e '$x = \"x\" x 500000000'"
}
EOF
run -e 1 run fast.dk
has ', its limit is 24 MiB (cgroup v'
used=$(sed -n 's/.*it used \([0-9]*\) MiB of memory.*/\1/p' <<<"$out" | head -1)
[ "${used:-0}" -le 24 ] || fail "it used $used MiB"

# A part of it that is ended takes the rest along, on v1 too.
put part.dk <<'EOF'
task eat {
  needs   = { memory = 24MiB }
  timeout = 60s
  run     = "perl -e '$x = \"x\" x 500000000' || true; sleep 100"
}
EOF
run -e 1 run part.dk
has 'killed: out of memory'
lacks 'timeout'

# What gets away from its keeper does not get out of its group: it is ended when the next keeper comes.
put away.dk <<'EOF'
task away {
  needs = { memory = 64MiB }
  pass  = ["MARKS"]
  retry { lost = 0 }
  run   = """
    env -i /usr/bin/setsid --fork /bin/sh -c 'echo $$ > '$MARKS/away'; exec sleep 600'
    while [ ! -s $MARKS/away ]; do sleep 0.02; done
    touch $MARKS/is_away
    sleep 600
  """
}
EOF
"$dkrun" run --plain away.dk >"$room/away.out" 2>&1 </dev/null &
wait_until test -e "$MARKS/is_away"
away=$(<"$MARKS/away")
[ -n "$(left)" ] || fail "there is no group while it runs"
grep -q "$(basename "$(left)")" "/proc/$away/cgroup" || fail "it is not in its group: $(cat "/proc/$away/cgroup")"
for pid in /proc/[0-9]*; do
  [[ $(tr '\0' ' ' 2>/dev/null <"$pid/cmdline") == *keeper*"$room"* ]] || continue
  [[ $(cat "$pid"/task/*/children 2>/dev/null) ]] || continue
  kill -KILL "${pid#/proc/}"
done
wait $! && fail "it did not fail: $(<"$room/away.out")"
grep -q 'its keeper (process' "$room/away.out" || fail "$(<"$room/away.out")"
[ ! -e "/proc/$away" ] || [ "$(sed -n 's/^State:\s*\(.\).*/\1/p' "/proc/$away/status")" = Z ] || fail "process $away goes on"
for ((n = 0; n < 250; n++)); do [ -n "$(left)" ] || break; sleep 0.02; done
[ -z "$(left)" ] || fail "groups are left: $(left)"
