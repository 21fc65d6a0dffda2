#!/bin/bash
# An edit during a run changes nothing in it: code comes from the pinned commit, data from the objects. And .git is never written.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put e.dk <<'EOF'
grid g { i in 1..4 }
task t over g {
  code    = ["tool.sh"]
  pass    = ["GO"]
  inputs  { data = file("data.txt") }
  metrics { m = match(stdout, 'm=(\w+)') }
  run = """
    touch "$GO.started"
    while [ ! -e "$GO" ]; do sleep 0.02; done
    bash tool.sh {{i}} {{inputs.data}}
  """
}
EOF
put tool.sh <<<'echo "m=old$(cat "$2")$1"'
put data.txt <<<A
commit
echo '# dirty' >>tool.sh
listing() { find .git -type f -printf '%p %T@ %s\n' | sort; }
before=$(listing)

export GO=$room/go
"$dkrun" run -j 1 --plain >"$room/run.out" 2>&1 </dev/null &
engine=$!
until [ -e "$GO.started" ]; do
  kill -0 "$engine" || fail "the engine ended: $(cat "$room/run.out")"
  sleep 0.02
done
echo 'echo m=new' >tool.sh
echo B >data.txt
touch "$GO"
wait "$engine" || fail "$(cat "$room/run.out")"
run results --format csv
count 4 oldA
[ "$(listing)" = "$before" ] || fail 'something in .git was written'

run run
has 'done: 4 ran'
run results --format csv
count 4 new
