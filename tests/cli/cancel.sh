#!/bin/bash
# What a cancelled task started is gone, whatever it did to stay: forks whose parent ended, sessions of their own, TERM ignored,
# environment cleared, stopped.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put e.dk <<'EOF'
grid g { k in 1..2 }
task t over g {
  pass = ["PIDS"]
  run = """
    trap '' TERM INT HUP
    hide() { # COMMAND...: a grandchild of nobody, in a session of its own
      (setsid setsid -f "$@" &)
    }
    say='echo $$ >> "$0"; while :; do sleep 1000; done'
    hide sh -c "trap '' TERM; $say" "$PIDS.{{k}}"
    hide env -i sh -c "trap '' TERM; $say" "$PIDS.{{k}}"
    hide sh -c "trap '' TERM; "'echo $$ >> "$0"; kill -STOP $$' "$PIDS.{{k}}"
    hide sh -c 'trap "" TERM; echo $$ >> "$0"; while :; do sh -c "sleep 0.01" & wait; done' "$PIDS.{{k}}"
    echo $$ >> "$PIDS.{{k}}"
    while :; do sleep 1000; done
  """
}
EOF
commit
export PIDS=$room/pids

said() { [ "$(grep -c . "$PIDS.$1" 2>/dev/null)" = 5 ]; } # TASK: all of it runs
is_gone() { # TASK
  local pid
  while read -r pid; do ! is_there "$pid" || return 1; done <"$PIDS.$1"
}
cancelled() { [[ $("$dkrun" status 1) == *"$1 cancelled"* ]]; }

run run -d
wait_until said 1
wait_until said 2
while read -r pid; do is_there "$pid" || fail "process $pid is not there before the cancel"; done < <(cat "$PIDS".?)

run cancel --now t k=1
wait_until cancelled 1
is_gone 1 || fail 'processes of a task that was killed are left when it is told as cancelled'
is_gone 2 && fail 'the other task is gone too'
run cancel
wait_until cancelled 2 # TERM, and KILL 5 seconds later
is_gone 2 || fail 'processes of a task that was cancelled are left'
# Also those that nobody noted.
for file in /proc/[0-9]*/environ; do
  environment=$({ tr '\0' '\n' <"$file"; } 2>/dev/null) || continue
  ! grep -qxF "PIDS=$PIDS" <<<"$environment" || ! grep -q '^DK_ATTEMPT=' <<<"$environment" || fail "$file is left"
done
