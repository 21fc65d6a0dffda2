#!/bin/bash
# run: a first one, one with nothing to do, one after edits that matter and edits that do not.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
small

run run
count 6 'done t'
has 'score 140.50'
has 'small  run 1  done: 6 ran, 0 cached, 0 failed'
has 'best of 4'
has 'x=2 y=20    score 140.50'
has 'chosen 220'
lacks $'\x1b'
[ -d .dkrun ] || fail "no state folder"
[ "$(stat -c %a .dkrun)" = 700 ] || fail ".dkrun is open to others"
git status --porcelain | grep . && fail "the repository is dirty after a run"

run run
has 'nothing to do: 6 cached, as in run 1'

# Edits that change no key.
sed -i 's/^grid g/# a comment\ngrid g/' small.dk
echo readme >README
run run
has 'run 2  nothing to do: 6 cached'

# One more value: two more points, and final only if the pick changes.
sed -i 's/x in \[1, 2\]/x in [1, 2, 3]/' small.dk
run run --plain -j 1
has 'done: 3 ran, 5 cached'
has 'chosen 320'

# A parameter.
put p.dk <<'EOF'
param word = "a"
task say { metrics { w = match(stdout, '([a-z]+)') }  run = "echo {{word}}" }
EOF
run run p.dk -p word=hello -q
has 'w hello'
lacks 'done t'
run -e 3 run p.dk -p wrod=x
has_err 'did you mean `word`'

run -e 4 run small.dk --clean
has_err 'small.dk'
commit
run run small.dk --clean

# An agent that could open too few files would fail the tasks of later runs too: it is not started.
stop_agents
hard=$(ulimit -Hn)
ulimit -Sn 40
if (ulimit -Hn 40) 2>/dev/null; then
  status=0
  (ulimit -Hn 40 && "$dkrun" run p.dk -p word=few --foreground >"$room/out" 2>"$room/err" </dev/null) || status=$?
  err=$(<"$room/err")
  [ "$status" -eq 4 ] || fail "exit code $status with few files"
  has_err 'no more than 40 files may be open at a time here'
fi
ulimit -Sn "$hard"
run run p.dk -p word=few -q
has 'w few'
