#!/bin/bash
# results: the report's tables in each format, and those of a file without a report.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
small
run run -q

run results
is 'x   y   score
1  10  110.50
1  20  120.50
2  10  120.50
2  20  140.50'
run results --format csv
is 'x,y,score
1,10,110.50
1,20,120.50
2,10,120.50
2,20,140.50'
run results 1 --format md
has '| x | y | score |'
has '| ---: | ---: | ---: |'
has '| 2 | 20 | 140.50 |'
run results --format json
has '{"task":"train x=1 y=10","id":"t2","state":"done","cells":{"x":1,"y":10,"score":110.50}}'
has '"unfinished":0'
run -e 2 results --format xml
has_err 'text, csv, json or md'
run -e 4 results 7

# Columns of a pick, sorting, and metrics that are not there.
put odd.dk <<'EOF'
grid g { name in ["a,b", "c|d", "plain"]  k in [1, 2] }
task t over g {
  metrics { v = match(stdout, 'v=([0-9]+)')  w = match(stdout, 'w=(.*)') }
  run = """
    [ {{k}} = 1 ] || exit 0
    echo v=$(printf %s {{name}} | wc -c)
  """
}
pick longest { from = t  maximize = v }
task last { metrics { z = match(stdout, '(.+)') }  run = "echo {{longest.name}}" }
report {
  table { title = "by length"  from = t  columns = [name, k, v, w]  sort = v  descending = true }
  table { from = last  columns = [longest.name, longest.v, z] }
}
EOF
run run odd.dk -q
run results --format csv
has '"a,b",1,3,'
[ "$(sed -n 2p <<<"$out")" = 'plain,1,5,' ] || fail "not sorted"
has 'plain,5,plain'
run results
has 'by length'
has 'plain  1  5  -'
run results --format md
has 'c\|d'

put plain.dk <<'EOF'
grid g { x in [1, 2] }
task t over g { metrics { v = match(stdout, '([0-9]+)') }  run = "echo {{x}}0" }
EOF
run run plain.dk -q
run results
has 'task  x   v'
has 't2    2  20'
run results --where 'x < 2'
has 't1    1  10'
lacks 't2'
run results --where 'x < 2' --format csv
count 2 ''
run -e 2 results --where 'x + 1'
has_err '--where wants true or false, not an integer'
run logs --where 'x > 1'
is 20

put none.dk <<'EOF'
task t { run = "true" }
EOF
run run none.dk -q
run results
has 'no task of this run has metrics'

# A metric that finds nothing is told once, with where it looked; by the run's end, status and results alike.
put nothing.dk <<'EOF'
grid g { x in 1..4 }
task some over g {
  metrics {
    score = match(stdout, 'score=([0-9]+)')
    deep  = json("m.json", "a.b")
    last  = csv("m.csv", "c")
    fine  = match(stderr, 'fine')
  }
  run = "echo fine >&2; echo {} > m.json; [ {{x}} -gt 2 ] || echo score={{x}}"
}
task lone { metrics { z = match(stderr, 'z') }  run = "echo" }
EOF
run run nothing.dk -q
count 4 '  note    metric'
has 'metric `score` found nothing in 2 of 4 tasks of some (nothing.dk:4): `dkrun logs t3 --out` shows what it read'
has 'metric `deep` found nothing in 4 of 4 tasks of some (nothing.dk:5): t1 wrote no `a.b` into `m.json`'
has 'metric `last` found nothing in 4 of 4 tasks of some (nothing.dk:6): t1 wrote no `m.csv`'
has 'metric `z` of lone found nothing (nothing.dk:11): `dkrun logs t5 --err`'
run results --format csv
has_err 'dkrun: note: metric `score` found nothing in 2 of 4 tasks of some'
lacks 'found nothing'
