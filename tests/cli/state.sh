#!/bin/bash
# The state folder and the repository in trouble: two at once, read-only, full disk, no repository, no commit.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mkdir -p "$room/plain"
cd "$room/plain"
put e.dk <<<'task t { run = "echo hi" }'
run -e 4 run
has_err 'not in a git repository'
has_err 'git init'
git -c init.defaultBranch=main init -q
run -e 4 run
has_err 'commit'
commit
run run
has '1 ran'

# Two at once: one that insists on being the engine is told who works there, and disturbs nothing (engine.sh has the others).
export GO=$room/go
put e.dk <<'EOF'
task t {
  pass = ["GO"]
  run = """
    touch "$GO.started"
    while [ ! -e "$GO" ]; do sleep 0.02; done
  """
}
EOF
"$dkrun" run --plain >"$room/run.out" 2>&1 </dev/null &
engine=$!
until [ -e "$GO.started" ]; do
  kill -0 "$engine" || fail "the engine ended: $(cat "$room/run.out")"
  sleep 0.02
done
run -e 4 run --foreground
has_err "another dkrun works in"
has_err "process $engine"
run status
has running
touch "$GO"
wait "$engine" || fail "$(cat "$room/run.out")"

# Eight at once in a fresh folder: the task runs once, and all of them hear of it.
stop_agents
rm -rf .dkrun
put e.dk <<'EOF'
task t {
  pass = ["GO"]
  run = "echo once >> $GO.effects; sleep 0.5"
}
EOF
pids=()
for i in 1 2 3 4 5 6 7 8; do
  "$dkrun" run >"$room/at-once.$i" 2>&1 </dev/null &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail "eight at once: $(cat "$room"/at-once.*)"; done
[ "$(grep -c once "$GO.effects")" -eq 1 ] || fail "the task ran $(grep -c once "$GO.effects") times"
[ "$(cat "$room"/at-once.* | grep -c '0 failed\|nothing to do')" -eq 8 ] || fail "eight at once: $(cat "$room"/at-once.*)"

# Locks that a killed dkrun left in its repository are nobody's.
touch .dkrun/git/config.lock .dkrun/git/refs/dkrun/x.lock
echo '# more' >>e.dk
run run
has 'nothing to do'

[ "$(id -u)" -eq 0 ] || { echo 'SKIP the rest: not root'; exit 0; }

# Read-only, as a file system that is mounted so.
stop_agents
mount --bind .dkrun .dkrun 2>/dev/null || { echo 'SKIP the rest: no mounts here'; exit 0; }
mounts=("$PWD/.dkrun")
mount -o remount,bind,ro .dkrun
run run
has 'nothing to do: 1 cached, as in run' # that needs no writing
echo '# and more' >>e.dk
run -e 4 run
has_err 'ead-only'
run status
has 'done'
umount .dkrun
mounts=()

# A full disk: a clear error; once there is room again, the run goes on where it was.
small_disk=$room/disk
mkdir -p "$small_disk"
mount -t tmpfs -o size=40m none "$small_disk"
mounts=("$small_disk")
mkdir "$small_disk/repo"
cd "$small_disk/repo"
git -c init.defaultBranch=main init -q
put e.dk <<'EOF'
grid g { i in 1..20 }
task t over g {
  outputs { o = "o" }
  run = "head -c 1000000 /dev/urandom > {{outputs.o}}; echo {{i}} >> {{outputs.o}}"
}
EOF
commit
# In a folder: a file right above the repository keeps its space until the last task under the old rules is gone (docs/adr).
mkdir "$small_disk/other"
dd if=/dev/zero of="$small_disk/other/filler" bs=1M count=22 status=none
set +e
timeout 60 "$dkrun" run --plain >"$room/run.out" 2>&1 </dev/null
code=$?
set -e
[ "$code" -eq 4 ] || [ "$code" -eq 1 ] || fail "exit code $code on a full disk: $(cat "$room/run.out")"
grep -qi 'space\|disk' "$room/run.out" || fail "no word of the disk: $(cat "$room/run.out")"
rm "$small_disk/other/filler"
run run
has '0 failed'
run run
has 'nothing to do: 20 cached'
cd "$room"
stop_agents
