#!/bin/bash
# show: what a task would get, before and after a run.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
small

run show
has 'train         4  t2..t5'
run show train x=1 y=20
has 't3 train x=1 y=20'
has 'small.dk:8'
has "bash -euo pipefail -c"
has 'data of t1 make'
has 'score = match in stdout'
lacks 'secret'
page=$out
run show t3
is "$page"
run show small.dk t3
is "$page"

# The script is what the shell gets: it runs as it is printed.
script=$(sed -n '/^run /,$p' <<<"$page" | tail -n +2)
mkdir -p .dk/inputs/data && echo 100 >.dk/inputs/data/data.txt
[ "$(bash -euo pipefail -c "$script" 2>/dev/null)" = "score=120.50" ] || fail "the printed script does something else"
rm -r .dk

run show train x=2
has 't4 train x=2 y=10'
has 't5 train x=2 y=20'
has '2 tasks'
run show final
has 'waits for best'
run show best
has 'a pick'
run -e 2 show trian
has_err 'did you mean `train`'
run -e 2 show train z=1
has_err '`z`'
run -e 2 show t99
has_err 't99'

run run -q
run show final
has 'chosen='
has "'2'"
lacks 'waits for'

put env.dk <<'EOF'
task a {
  env  { TOKEN = secret("TOKEN")  MODE = "fast mode" }
  pass = ["HF_HOME"]
  run  = ["printf", "%s\n", "a b"]
}
EOF
TOKEN=hunter2 run show env.dk a
has 'TOKEN   secret'
lacks hunter2
has "MODE='fast mode'"
has 'HF_HOME'
has "run      printf"
has "'a b'"
