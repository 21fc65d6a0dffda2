#!/bin/bash
# check and explain: errors with places, counts, JSON, the file that is meant when none is named.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
small

run check
is "small.dk: ok, 3 templates, 6 tasks, 1 pick"
[ -z "$err" ] || fail "stderr is not empty"
run check small.dk --format json
has '"diagnostics":[]'
[ ! -e .dkrun ] || fail "check wrote a state folder"

put broken.dk <<'EOF'
grid g { lr in [1, 2] }
task a over g {
  run = "echo {{lr2}}"
}
task b { run = "echo {{nothing}}" }
EOF
run -e 3 check broken.dk
[ -z "$out" ] || fail "stdout is not empty"
has_err 'error[E'
has_err 'broken.dk:3:'
has_err 'broken.dk:5:'
has_err 'did you mean `lr`?'
lacks_err $'\x1b'
run -e 3 check broken.dk --color always
has_err $'\x1b['
run -e 3 check broken.dk --format json
has '"line":3'
[ -z "$err" ] || fail "json is on stdout only"
code=$(grep -oP '"code":"\KE[0-9]+' <<<"$out" | head -n 1)
run explain "$code"
has "$code: "
run explain "${code,,}"
has "$code: "
run explain
has "$code  "
run -e 2 explain E9999
has_err 'no code `E9999`'

# Which file? The only one that has a task; two are a question.
run -e 2 check
has_err 'broken.dk, small.dk'
rm broken.dk
put common.dk <<'EOF'
let a = 1
EOF
run check
has 'small.dk: ok'
run -e 3 check missing.dk
has_err 'missing.dk'
run -e 3 check .
mkdir empty
cd empty
run -e 2 check
has_err 'there is no *.dk file here'

# Parameters.
cd ..
put param.dk <<'EOF'
param n = 2
grid g { x in 1..n }
task a over g { run = "echo {{x}}" }
EOF
run check param.dk
has '2 tasks'
run check param.dk -p n=7
has '7 tasks'
run -e 3 check param.dk -p m=7
has_err '`m`'

# A path that is odd in every way, and a file without a repository.
mkdir "$room/out side"
cd "$room/out side"
cp ../repo/param.dk $'od\x1bd.dk'
run check $'od\x1bd.dk'
has 'od\x1bd.dk: ok'
run -e 3 check $'od\x1bd.dk' -p m=1
lacks_err $'\x1b'

# Code that matches nothing here is told already, with its place; outside of a repository nothing is asked of git.
mkdir -p "$room/code"
cd "$room/code"
git -c init.defaultBranch=main init -q
put train.py <<<'x'
put code.dk <<'EOF'
task t { code = ["train.py"]  run = "python3 train.py" }
task u { code = ["tran.py", "lib/*.py"]  run = "python3 tran.py" }
EOF
commit
run check code.dk
has 'code.dk: ok'
has_err 'dkrun: note: code.dk:2: code of task `u`: the code pattern `tran.py` matches no file; a run refuses that'
has_err '  help: did you mean `train.py`?'
lacks_err 'task `t`'
[ ! -e .dkrun ] || fail 'check wrote something'
run -e 4 plan code.dk
has_err 'code.dk:2: code of task `u`'
rm -rf .git
run check code.dk
lacks_err 'note'
