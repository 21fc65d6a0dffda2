#!/bin/bash
# status: no run, several runs, one run, JSON, a run whose engine is gone.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
small

run -e 4 status
has_err 'nothing was run in this repository yet'
[ ! -e .dkrun ] || fail "status made a state folder"

run run -q
echo '# looked at again' >>small.dk
run run -q
run status
has '1  done'
has '2  done'
has '6 ran, 0 cached'
has '0 ran, 6 cached'
lacks 'an engine is at work'
run status 1
has 'small  run 1  done: 6 ran, 0 cached, 0 failed'
has 'train          4 of 4 done'
has 'best of 4'
has 'next: 120.50 (x='
run status run1
has 'run 1'
run -e 4 status 9
has_err 'no run 9: the last one is 2'

run status --format json
has '"engine":0'
has '{"run":1,"state":"done","experiment":"small","file":"small.dk"'
run status 1 --format json
has '"templates":['
has '{"name":"train","tasks":4,"ran":4'
has '"failures":['

# From a directory below, and while an engine works.
mkdir sub
cd sub
run status
has '1  done'
cd ..
put slow.dk <<'EOF'
task wait { run = "while [ ! -e {{raw('"$GO"')}} ]; do sleep 0.05; done" pass = ["GO"] }
EOF
export GO=$room/go
"$dkrun" run slow.dk -q >"$room/slow.out" 2>&1 </dev/null &
engine=$!
until "$dkrun" status 3 2>/dev/null | grep -q 'running t1'; do
  kill -0 "$engine" 2>/dev/null || fail "the engine ended: $(cat "$room/slow.out")"
  sleep 0.05
done
run status
has "an engine is at work (process $engine)"
has '3  running'
run -e 4 run small.dk --foreground
has_err "process $engine"
touch "$GO"
wait "$engine" || fail "the slow run failed: $(cat "$room/slow.out")"
run status
has '3  done'
