#!/bin/bash
# A state folder that was copied, moved, or whose store was put back from a backup: the original's tasks are never ended by a copy, results
# are used, and what would be lost is asked about first.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put e.dk <<'EOF'
task before {
  pass    = ["ONCE"]
  outputs { o = "o.txt" }
  run = "echo made | tee -a \"$ONCE\" > {{outputs.o}}"
}
task long {
  pass    = ["GO"]
  inputs  { b = before.o }
  outputs { o = "o.txt" }
  metrics { n = match(stdout, '([0-9]+)') }
  run = """
    echo "$$ $DK_ATTEMPT" >> "$GO.started"
    while [ ! -e "$GO" ]; do sleep 0.02; done
    echo "$DK_ATTEMPT" >> "$GO.ended"
    echo 7 | tee {{outputs.o}}
  """
}
report { table { from = long  columns = [n] } }
EOF
commit

lines() { # FILE: how many it has
  if [ -e "$1" ]; then wc -l <"$1"; else echo 0; fi
}
# The run is under way in the background, its task runs, and the engine has written all it has to.
start_long() {
  "$dkrun" run -d --quiet >/dev/null 2>"$room/err" </dev/null || fail "run -d: $(<"$room/err")"
  wait_until running
}
running() { [ -s "$GO.started" ] && [[ $("$dkrun" status) == *" 1 running"* ]]; }

export ONCE=$room/once

# --- copied while a task runs

export GO=$room/original
start_long
cp -a "$room/repo" "$room/copy"
task=$(cut -d' ' -f1 "$GO.started")

cd "$room/copy"
export GO=$room/copied
touch "$GO"
run run --plain
has_err 'this state folder is a copy'
has 'done: 2 ran, 0 cached, 0 failed' # run 1 goes on here
run results
has 7
[ "$(lines "$ONCE")" -eq 1 ] || fail 'what had a result ran again'
[ "$(lines "$GO.started") $(lines "$GO.ended")" = '1 1' ] || fail 'the copy ran it more than once'
grep -q 'this folder is a copy' .dkrun/agent/log || fail 'the agent says nothing of it'
is_there "$task" || fail "the original's task was ended"
run run --plain
lacks_err 'is a copy' # it is a store of its own now
has 'nothing to do'

cd "$room/repo"
export GO=$room/original
running || fail "the original does not go on: $("$dkrun" status)"
touch "$GO"
run attach 1 --plain
has 'done: 2 ran, 0 cached, 0 failed'
lacks again
[ "$(lines "$GO.started") $(lines "$GO.ended")" = '1 1' ] || fail "the original's task ran more than once"
[ "$(cut -d' ' -f2 "$GO.started")" != "$(cut -d' ' -f2 "$room/copied.started")" ] || fail 'one attempt id started twice'
run results
has 7

# --- copied by an engine in the background: who started it reads it too

cp -a "$room/repo" "$room/later"
cd "$room/later"
run run -d
has_err 'this state folder is a copy'
run attach --plain
has '2 cached'

# --- hard links: two stores in one file would destroy each other

cp -al "$room/repo" "$room/linked"
cd "$room/linked"
sed -i 's/echo 7/echo 8/' e.dk # a new file: sed replaces it
run -e 4 run --plain # an engine may be at work in the original still, or not
[[ $err == *'hard links'* || $err == *'also that of another one'* ]] || fail 'it wrote to the original'
wait_until eval '! "$dkrun" status | grep -q "engine is at work"'
for how in '' -d; do
  run -e 4 run --plain $how
  has_err 'hard links'
done
cd "$room/repo"
run results
has 7

# --- moved: the same store, the same agent, nothing left where it was

mv "$room/repo" "$room/moved"
cd "$room/moved"
run run --plain
lacks_err 'is a copy'
sed -i 's/echo 7/echo 9/' e.dk
run run --plain
lacks_err 'is a copy'
has 'done: 1 ran, 1 cached, 0 failed'
run results
has 9
[ ! -e "$room/repo" ] || fail "made again: $(find "$room/repo")"

# --- the store of before put back while a task runs that it never heard of

cp -a .dkrun/store "$room/backup"
export GO=$room/restored
sed -i 's/echo 9/echo 10/' e.dk
start_long
task=$(cut -d' ' -f1 "$GO.started")
engine=$(engine_pid)
kill -KILL "$engine"
wait_until eval '! is_there "$engine"'
cp "$room/backup/data.mdb" .dkrun/store/data.mdb # in place: nothing says that it is another one
for how in '' -d; do
  run -e 4 run --plain $how
  has_err '1 task runs here that'
  has_err 'dkrun run --as-restored'
  is_there "$task" || fail 'it was ended without a word'
done
run -e 4 gc --yes
has_err 'never heard of'
"$dkrun" run --plain --as-restored >"$room/out" 2>"$room/err" </dev/null &
run=$!
wait_until eval '! is_there "$task"'
touch "$GO"
wait "$run" || fail "as restored: $(<"$room/err")"
run results
has 10
[ "$(lines "$GO.ended")" -eq 1 ] || fail 'it ended more than once'
[ "$(cut -d' ' -f2 "$GO.started" | sort | uniq -d | wc -l)" -eq 0 ] || fail 'an attempt id was used twice'
run fsck

# --- a link to a folder on another disk, as on a network file system; the link may be copied too

mkdir -p "$room/at" "$room/local"
cd "$room/at"
git -c init.defaultBranch=main init -q
git -C "$room/moved" show HEAD:e.dk >e.dk
commit
ln -s "$room/nowhere" .dkrun
run -e 4 run
has_err 'a link that leads nowhere'
ln -sfn "$room/local" .dkrun
export GO=$room/local-go
touch "$GO"
run run --plain --clean
has 'done: 2 ran, 0 cached, 0 failed'
run run --plain
has 'nothing to do'
cp -a "$room/at" "$room/at-too"
sed -i 's/echo 7/echo 11/' e.dk
rm "$GO"
start_long
cd "$room/at-too"
run -e 4 run --plain
has_err 'also that of another one'
cd "$room/at"
touch "$GO"
run attach --plain
has 'done: 1 ran, 1 cached, 0 failed'
