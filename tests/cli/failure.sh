#!/bin/bash
# Failures: exit codes, causes in words, the end of logs, what was not run and why, and running again.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put fails.dk <<'EOF'
grid g { k in 1..3 }
task one over g {
  pass = ["MENDED"]
  metrics { v = match(stdout, 'v=([0-9]+)') }
  run = """
    echo v={{k}}
    if [ {{k}} = 2 ] && [ -z "${MENDED:-}" ]; then
      seq 1 20 >&2
      printf 'it broke \033[31mhere\n' >&2
      exit 7
    fi
  """
}
task signal { run = "kill -TERM $$" }
task slow   { timeout = 100ms  run = "sleep 60" }
task output { outputs { o = "never.txt" }  run = "true" }
task absent { run = ["no-such-program"] }
pick best { from = one  maximize = v }
task final { run = "echo {{best.k}}" }
EOF
commit
run -e 1 run
has 'FAILED t2 one k=2  exit code 7'
has 'fails  run 1  2 done, 5 failed, 1 not run'
has 'exit code 7'
has '| 20'
has '| it broke \x1b[31mhere'
lacks '| 10'
has 'killed by signal 15 (TERM)'
has 'timed out'
has 'never.txt'
has 'no-such-program'
has 'NOT RUN t9 final: best needs all 3 points of one, 2 are there'
has 'dkrun logs t2'
lacks $'\x1b'

run status 1
has 'FAILED'
has 'NOT RUN'
run status 1 --format json
has '"cause":"exit","code":7'
run results --format json
has '"id":"t2","state":"failed","cells":{"task":"t2","k":2,"v":null}'
has '"task":"one k=1"'
run results
has 'failed'
run logs t2 --err --tail 1
has 'it broke'

# Failures are never cached, what is done is.
MENDED=1 run -e 1 run
has '2 cached'
has '4 failed'

# The same words for many tasks: one block, and a count; three lines while it runs, whatever their logs end with.
put many.dk <<'EOF'
grid g { x in 1..30 }
task many over g { run = "cat ROOM/repo/data/x.csv > /dev/null; echo {{x}} >&2; cat ROOM/repo/data/x.csv" }
EOF
sed -i "s#ROOM#$room#g" many.dk
put data/x.csv <<<1
if "$dkrun" doctor | grep -q '^ok *reading'; then
  run -e 1 run many.dk
  count 3 ' FAILED t'
  count 1 'more like it are only counted'
  count 1 '  FAILED  t'
  has 'and 29 more of many with the same end: exit code 1: `data/x.csv` is in the repository'
fi
