#!/bin/bash
# Nothing to do, known without a look at any task ("as in run N"): when it is said, and all that must not be overlooked.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put e.dk <<'EOF'
import "./more.dk" as more
param n = 2
let rows = load("rows.csv")
grid g { c in [1, 2] }
task t over g {
  code    = ["tool.sh"]
  inputs  { data = file("data.txt")  all = file(glob("parts/*.txt"))  tree = file("tree") }
  outputs { o = "o.txt" }
  metrics { m = match(stdout, 'm=([0-9]+)') }
  run = "bash tool.sh {{c}} {{more.x}} {{len(rows)}} {{n}} {{inputs.all}} {{inputs.tree}} | tee {{outputs.o}}; cat {{inputs.data}}"
}
task sum {
  inputs { all = gather(t.o) }
  when = n > 1
  run = "cat {{inputs.all}}"
}
report { table { from = t  columns = [c, m] } }
EOF
put more.dk <<<'let x = 7'
put rows.csv <<<'a'
put tool.sh <<<'echo "m=$1"'
put data.txt <<<data
put parts/1.txt <<<one
put parts/2.txt <<<two
put tree/file <<<file
put small.dk <<'EOF'
task only { run = "echo only" }
EOF
commit

# Runs until the second one has nothing to do; twice, because a tree that is younger than two seconds counts for nothing.
settle() {
  local i
  for i in 1 2 3 4 5 6 7 8 9 10; do
    run run e.dk "$@"
    if [[ $out == *'as in run'* ]]; then return; fi
    sleep 0.5 # until the files are old enough; nothing is measured
  done
  fail "there is always something to do ($i tries)"
}
# A change after which the tasks are looked at again, and what comes of it.
looks() {
  run run e.dk
  lacks 'as in run'
  has "$1"
  settle
}

run run e.dk
has 'done: 3 ran, 0 cached'
settle
has 'nothing to do: 3 cached, as in run'
has '1  1
2  2'
first=$out
run run e.dk
is "$first"
run plan e.dk
has '3 cached, 0 to run, 0 later'
has 'nothing to do: all 3 tasks have results'
run status
n=$(grep -c e.dk <<<"$out")
run run e.dk
run status
count "$n" e.dk # no run was made of it

# Colours only where they are wanted.
[[ $first != *$'\x1b'* ]] || fail 'colours in a pipe'
run run --color always e.dk
has $'\x1b[32m'

# What changes nothing.
touch data.txt more.dk
run run e.dk
has 'as in run'
git commit -q --allow-empty -m empty
put README <<<text
run run e.dk
has 'as in run'

# What the plan was made of.
sed -i 's/7/8/' more.dk
looks 'done: 2 ran, 1 cached'
put rows.csv <<<$'a\nb'
looks 'done: 2 ran, 1 cached'
put parts/3.txt <<<three
looks 'done: 2 ran, 1 cached'
rm parts/3.txt
looks 'nothing to do: 3 cached'
echo '# a comment' >>e.dk
looks 'nothing to do: 3 cached'
run run e.dk -p n=1
lacks 'as in run'
settle -p n=1
has 'nothing to do: 2 cached, 1 skipped, as in run'
sleep 0.1 # several clock ticks: the folder of the other's plan, an object more, keeps its time from now on
settle
run run e.dk -p n=1
has 'as in run' # both are known

# What the tasks read.
put data.txt <<<other
looks 'done: 2 ran, 1 cached'
put parts/1.txt <<<onf # of the same size
looks 'done: 2 ran, 1 cached'
put tree/new <<<new
looks 'done: 2 ran, 1 cached'
chmod +x tree/new
looks 'done: 2 ran, 1 cached'
put tool.sh <<<'echo "m=$2"'
looks 'done: 3 ran, 0 cached'
git commit -q -a -m all
run run e.dk
has 'as in run'

# What was made: an object that is gone.
rm "$(grep -lrx 'm=8' .dkrun/objects | head -1)"
looks 'done: 2 ran, 1 cached'
# Another experiment adds objects: a look at the tasks, once.
run run small.dk
has 'done: 1 ran'
run run e.dk
has 'nothing to do: 3 cached'
settle

# A task that failed, or is never cached, is always looked at; so is a file with warnings.
put bad.dk <<'EOF'
task bad { run = "exit 3" }
EOF
run -e 1 run bad.dk
run -e 1 run bad.dk
lacks 'nothing to do'
put never.dk <<'EOF'
task never { cache = "none"  run = "echo x" }
EOF
run run never.dk
run run never.dk
has 'done: 1 ran'
put warned.dk <<'EOF'
grid g { c in ["a"] }
task warned over g { run = "sh -c {{c}} || true" }
EOF
run run warned.dk
has_err 'warning'
run run warned.dk
has_err 'warning'
lacks 'as in run'

# --clean looks at the work tree before anything else.
run -e 4 run e.dk --clean
has_err 'files differ from the commit'
