# Numbers for test beds that run at once: each test has one of a kind, which names its networks and what else a machine has
# only one of. What is left of a test that is gone, however it ended, is swept by a watcher, or by who claims next.
# Sourced by test beds. A bed has a function `SWEEP NUMBER PLACE` that removes what may be left of a number; PLACE, a
# directory of the test that had it, may be ''. It is called by one process at a time, also where nothing is left.
# shellcheck shell=bash
#
#   claim_take CLAIMS PLACE SWEEP    $claim: a number of 100 to 250 that is this test's ($$), recorded in CLAIMS/; '': all are
#                                    taken. Sweeps it first
#   claim_watch CLAIMS PLACE SWEEP SCRIPT
#                                    starts a watcher of $claim; SCRIPT has SWEEP when it is sourced

claim=''

# When a process started, which tells it from a later one of its number; nothing: there is none.
claim_start_of() {
  local text
  { text=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
  # shellcheck disable=SC2086 # its fields, behind the name
  set -- ${text##*) }
  echo "${20}"
}

claim_take() {
  local k pid start place lock
  claim=''
  mkdir -p "$1"
  exec {lock}>"$1/lock"
  flock "$lock"
  for k in {100..250}; do
    pid='' start='' place=''
    if [ -e "$1/$k" ]; then read -r pid start place <"$1/$k" || true; fi
    if [ -n "$pid" ] && [ "$(claim_start_of "$pid")" = "$start" ]; then continue; fi
    "$3" "$k" "$place"
    claim=$k
    echo "$$ $(claim_start_of $$) $2" >"$1/$k"
    break
  done
  exec {lock}>&-
}

# What the watcher does, in a session of its own, until the test is gone: with its pid and start, CLAIMS, the number, PLACE, SWEEP.
claim_wait() {
  local lock
  trap '' TERM INT HUP
  while [ -e "$5" ] && [ "$(claim_start_of "$1")" = "$2" ]; do sleep 1; done
  exec {lock}>"$3/lock"
  flock "$lock"
  if [ "$(cat "$3/$4" 2>/dev/null)" = "$1 $2 $5" ]; then
    "$6" "$4" "$5"
    rm -f "$3/$4"
  fi
}

claim_watch() {
  # shellcheck disable=SC2016 # its own arguments
  setsid bash -c '. "$1"; shift; claim_wait "$@"' watch "$4" $$ "$(claim_start_of $$)" "$1" "$claim" "$2" "$3" \
    </dev/null >/dev/null 2>&1 &
  disown $!
}
