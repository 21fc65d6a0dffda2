# Functions for tests of dkrun as people use it: real processes in a temporary git repository. Sourced by the cases; run by run.sh.
# shellcheck shell=bash
#
#   repo                 makes a repository and goes there (removed at the end)
#   put FILE <<'EOF'     writes a file (directories too)
#   commit               adds and commits everything
#   run [-e CODE] ARG... runs dkrun; checks the exit code (default 0); keeps $out and $err (texts) and $status
#   has TEXT / lacks TEXT / has_err TEXT     the last run's stdout / stderr holds that text, literally
#   is TEXT              stdout is exactly that
#   count N TEXT         N lines of stdout hold that text
#   fail TEXT            ends the case
#   wait_until COMMAND...    for at most 20 s; the case fails when it does not come true
#   is_there PID         is it a process, and no zombie?
#   engine_pid           of the engine that works in this repository
#   at_end+=(FUNCTION)   called when the case ends, however that is

set -euo pipefail
export LC_ALL=C.UTF-8 TZ=UTC GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.org GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.org
unset NO_COLOR COLUMNS GIT_DIR GIT_WORK_TREE
dkrun=${DKRUN:?the program to test}
room=$(mktemp -d)
export DKRUN_LEDGER=$room/ledger # whoever else uses this machine is not waited for
export XDG_CONFIG_HOME=$room/config # nor are the providers of who runs the tests
export DKRUN_CGROUP=off          # the same everywhere; memory.sh and doctor.sh try what there is
out='' err='' status=0 last=''

mounts=() # where a case mounted something; unmounted at the end
at_end=() # functions of a case that are called at the end, however it ends, before its folder is removed

# Ends this case's agents and keepers (they leave by themselves when nothing needs them; the case does not wait for that) and returns
# when none is left. A rebuilt program is `dkagent (deleted)`; one that was killed has no exe.
stop_agents() {
  local pid left=1
  while [ "$left" -eq 1 ]; do
    left=0
    for pid in /proc/[0-9]*; do
      [[ $(readlink "$pid/exe" 2>/dev/null) == */dkagent* ]] || continue
      { tr '\0' ' ' <"$pid/cmdline"; } 2>/dev/null | grep -qF -- "$room" || continue
      kill -KILL "${pid#/proc/}" 2>/dev/null || true
      left=1 # it may have started a keeper just now: look again
    done
  done
}
# Whatever works in the case's folder (an engine in the background, a task) besides this shell.
stop_others() {
  local pid
  for pid in /proc/[0-9]*; do
    if [ "${pid#/proc/}" -ne $$ ] && [[ $(readlink "$pid/cwd" 2>/dev/null) == "$room"* ]]; then
      kill -KILL "${pid#/proc/}" 2>/dev/null || true
    fi
  done
}
cleanup() {
  local code=$? mounted hook
  trap '' TERM INT
  cd /
  stop_others
  for hook in "${at_end[@]}"; do "$hook" || true; done
  stop_agents
  stop_others
  for mounted in "${mounts[@]}"; do
    umount "$mounted" 2>/dev/null || umount -l "$mounted" 2>/dev/null || true
  done
  chmod -R u+rwX "$room" 2>/dev/null || true
  rm -rf "$room"
  exit "$code"
}
trap cleanup EXIT
trap 'exit 143' TERM INT

fail() {
  printf 'FAILED at line %s: %s\n' "${BASH_LINENO[${#BASH_LINENO[@]} - 2]}" "$*" >&2
  printf '  last command: dkrun %s (exit %s)\n--- stdout\n%s\n--- stderr\n%s\n' "$last" "$status" "$out" "$err" >&2
  exit 1
}

repo() {
  mkdir -p "$room/repo"
  cd "$room/repo"
  git -c init.defaultBranch=main init -q
}

put() {
  mkdir -p "$(dirname "$1")"
  cat >"$1"
}

commit() {
  git add -A
  git commit -q -m test
}

run() {
  local expected=0
  if [ "$1" = -e ]; then
    expected=$2
    shift 2
  fi
  last="$*" status=0
  "$dkrun" "$@" >"$room/out" 2>"$room/err" </dev/null || status=$?
  out=$(<"$room/out") err=$(<"$room/err")
  [ "$status" -eq "$expected" ] || fail "exit code $status, expected $expected"
}

has() { [[ $out == *"$1"* ]] || fail "stdout lacks: $1"; }
lacks() { [[ $out != *"$1"* ]] || fail "stdout has: $1"; }
has_err() { [[ $err == *"$1"* ]] || fail "stderr lacks: $1"; }
lacks_err() { [[ $err != *"$1"* ]] || fail "stderr has: $1"; }
is() { [ "$out" = "$1" ] || fail "stdout is not: $1"; }
count() {
  local n
  n=$(grep -cF -- "$2" <<<"$out" || true)
  [ "$n" -eq "$1" ] || fail "$n lines with \`$2\`, expected $1"
}

wait_until() {
  local n
  for ((n = 0; n < 400; n++)); do
    "$@" && return
    sleep 0.05
  done
  fail "this did not come true: $*"
}
is_there() {
  local state
  { state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat"); } 2>/dev/null && [ "$state" != Z ]
}
engine_pid() { sed 's/ .*//' .dkrun/lock; }

# eat.pl: takes so many MiB of memory and keeps them for a moment.
eater() {
  put eat.pl <<'EOF'
my ($n, $time) = @ARGV;
for my $i (1 .. $n) {
  push @blocks, "x" x 1048576;
  select(undef, undef, undef, 0.01) if $i % 16 == 0;
}
select(undef, undef, undef, $time // 1.5);
print "ate ", scalar @blocks, "\n";
EOF
}

# A small experiment that most cases use: 2 x 2 points, a pick, and a final task.
small() {
  repo
  put small.dk <<'EOF'
grid g { x in [1, 2]  y in [10, 20] }

task make {
  outputs { data = "data.txt" }
  run = "echo 100 > {{outputs.data}}"
}

task train over g {
  inputs  { data = make.data }
  metrics { score = match(stdout, 'score=([0-9.]+)') }
  run = """
    base=$(cat {{inputs.data}})
    echo "score=$((base + {{raw(x)}} * {{raw(y)}})).50"
    echo "note of {{x}}" >&2
  """
}

pick best { from = train  maximize = score }

task final {
  metrics { chosen = match(stdout, 'chosen=([0-9]+)') }
  run = "echo chosen={{best.x}}{{best.y}}"
}

report {
  table { from = train  columns = [x, y, score] }
}
EOF
  commit
}
