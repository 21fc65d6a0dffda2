#!/bin/bash
# Inputs that are not there are errors of the file, in check, plan and run alike; a mount is used where it lies.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo

put data/iris.csv <<<'1,2'
commit
put missing.dk <<'EOF'
grid g { name in ["iris", "wine", "mnist"] }
task t over g {
  inputs { rows = file("data/{{name}}.csv")  all = file("data")  fixed = file("data/irs.csv") }
  run = "cat {{inputs.rows}} {{inputs.fixed}} {{inputs.all}}/iris.csv"
}
EOF
for command in check plan run; do
  run -e 3 "$command" missing.dk
  has_err 'error[E0706]: there is no file or directory `data/wine.csv` in the repository'
  has_err 'note: at name="wine"'
  lacks_err 'mnist.csv'
  has_err 'did you mean `data/iris.csv`?'
done
[ ! -e .dkrun ] || fail "a state folder was made"

mkdir "$room/set"
echo seen >"$room/set/a"
put mount.dk <<EOF
task t {
  inputs { set = mount("$room/set", version = "1") }
  metrics { found = match(stdout, '(seen.*)') }
  run = "echo \$(cat {{inputs.set}}/a) {{inputs.set}}; test ! -e .dk/inputs"
}
EOF
run run mount.dk
has "seen $room/set"

# Its content is no part of the key, its version is.
echo 'seen again' >"$room/set/a"
run run mount.dk
has 'nothing to do'
sed -i 's/version = "1"/version = "2"/' mount.dk
run run mount.dk
has 'seen again'

# What it was made of may be gone when it is done: the result counts all the same.
put gone.dk <<EOF
task t {
  inputs { set = mount("$room/gone", version = "1") }
  metrics { found = match(stdout, '(seen.*)') }
  run = "cat {{inputs.set}}/a; touch $room/on; while [ -e $room/on ]; do sleep 0.02; done"
}
EOF
cp -r "$room/set" "$room/gone"
"$dkrun" run --plain gone.dk >"$room/gone.out" 2>&1 </dev/null &
wait_until test -e "$room/on"
rm -r "$room/gone"
rm "$room/on"
wait $! || fail "$(<"$room/gone.out")"
grep -q '1 ran' "$room/gone.out" || fail "$(<"$room/gone.out")"

rm -r "$room/set"
sed -i 's/version = "2"/version = "3"/' mount.dk
run -e 1 run mount.dk
has "input \`set\`: cannot use $room/set: No such file or directory"

# gather(task): a record a line, numbers as they were written, text escaped.
put records.dk <<'EOF'
grid g { lr in [0.1, 1.1, 3]  text in ["a\"b\\\t\u{e9}"]  size in [2KiB]  list in [[1, 2.5]] }
task t over g {
  outputs { o = "o" }
  metrics { m = match(stdout, 'm=(.*)') }
  run = "test {{lr}} = 3 || echo m={{lr}}; : {{text}} {{size}} {{join(list)}}; echo {{lr}} >{{outputs.o}}"
}
task all { inputs { rows = gather(t) }  run = "cat {{inputs.rows}}" }
EOF
run run records.dk
run logs all
has ' {"lr": 0.1, "text": "a\"b\\\u0009é", "size": 2048, "list": [1, 2.5], "m": 0.1, "o": "'
has ' {"lr": 1.1, "text": "a\"b\\\u0009é", "size": 2048, "list": [1, 2.5], "m": 1.1, "o": "'
has '"m": null, "o": "'
