#!/bin/bash
# What a task may read: its own copies, and everything outside of the repository; what is said when it reads more.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

export HOME=$room/home
mkdir -p "$HOME" "$room/beside/deep"
echo outside >"$room/beside/deep/file"
echo outside >"$room/file"
repo
commit_all() { put .gitignore <<<'.venv' && commit; }

put data/x.csv <<<'1,2'
put src/m.py <<<'x = 1'
put 'a name' <<<'spaces'
put run.sh <<<'echo ran'
chmod +x run.sh
put .venv/pyvenv.cfg <<<''
put .venv/bin/tool <<<'#!/bin/sh'
chmod +x .venv/bin/tool
put tools/bin/helper <<<'#!/bin/sh'
chmod +x tools/bin/helper

# What has nothing to do with the kernel: a name that is in the repository, and not in the task's directory.
put near.dk <<'END'
task near { run = "cat data/x.csv" }
task code { run = "sh src/m.py" }
END
commit_all
run -e 1 run near.dk
has '`data/x.csv` is in the repository, but the task does not declare it'
has 'help: declare it: `inputs { x = file("data/x.csv") }`'
has 'help: declare it: `code = ["src/m.py"]`'

# Where the kernel keeps nothing from a task, the rest cannot be seen.
put probe.dk <<END
task probe { run = "cat $room/repo/data/x.csv" }
END
commit
"$dkrun" run probe.dk >/dev/null 2>&1 && { echo "no Landlock here"; exit 77; }

# What works: everything declared, everything outside, environments, mounts, new files of its own, renaming.
put works.dk <<'END'
task works {
  code   = ["src/m.py"]
  inputs { x = file("data/x.csv") }
  run    = """
    cat {{inputs.x}} src/m.py ROOM/beside/deep/file ROOM/file /etc/passwd /proc/self/stat > /dev/null
    ROOM/repo/.venv/bin/tool
    helper
    echo a > "$TMPDIR/a"; cat "$TMPDIR/a"; mkdir d; mv "$TMPDIR/a" d/b; ln d/b c; cat c
    mkdir -p "$HOME/.cache/new"; echo new > "$HOME/.cache/new/file"; cat "$HOME/.cache/new/file"
    echo more >> ROOM/beside/deep/file; cat ROOM/beside/deep/file; ls / ROOM/repo > /dev/null
    cat "$DK_DIR/src/m.py"
  """
}
task mounted {
  inputs { d = mount("ROOM/repo/data", version = "1") }
  run    = "cat {{inputs.d}}/x.csv"
}
task free {
  needs = { sandbox = false }
  run   = "cat ROOM/repo/data/x.csv; git -C ROOM/repo rev-parse HEAD"
}
END
sed -i "s|ROOM|$room|g" works.dk
commit
PATH=$room/repo/tools/bin:$PATH run run works.dk
has '3 ran'

# What does not, and what is said of it.
put closed.dk <<'END'
task absolute { run = "cat ROOM/repo/data/x.csv" }
task upwards  { run = "cat ../../../../../data/x.csv" }
task spaces   { run = "cat 'ROOM/repo/a name'" }
task program  { run = ["ROOM/repo/run.sh"] }
task shell    { run = "ROOM/repo/run.sh" }
task given    { code = ["src/m.py"]  run = "cat ROOM/repo/src/m.py" }
task commit   { run = "git rev-parse HEAD" }
task store    { run = "cat ROOM/repo/.dkrun/store/*" }
task other    { run = "cat ROOM/repo/.dkrun/agent/slots/[1-9]*/out ROOM/repo/.dkrun/objects/*/*" }
END
sed -i "s|ROOM|$room|g" closed.dk
commit
run -e 1 run -j 2 closed.dk
has '9 failed'
for task in absolute upwards; do
  [[ $(grep -A1 "FAILED  t[0-9]* $task" <<<"$out") == *'`data/x.csv` is in the repository, but the task does not declare it'*'= help: declare it: `inputs { x = file("data/x.csv") }`'* ]] ||
    fail "nothing said of $task"
done
[[ $(grep 'FAILED  t[0-9]* spaces' <<<"$out") == *'`a name` is in the repository'* ]] || fail "nothing said of a name with spaces"
[[ $(grep 'FAILED  t[0-9]* program' <<<"$out") == *'could not be started: `run.sh` is in the repository'* ]] || fail "nothing said of a program"
[[ $(grep 'FAILED  t[0-9]* shell' <<<"$out") == *'`run.sh` is in the repository'* ]] || fail "nothing said of a script"
[[ $(grep 'FAILED  t[0-9]* given' <<<"$out") == *'it asked for `src/m.py` in the repository, and not for the copy'* ]] || fail "nothing said of a copy"
[[ $(grep 'FAILED  t[0-9]* commit' <<<"$out") == *'a task does not see the repository'* ]] || fail "nothing said of .git"

# Below a folder's file paths start there.
put exp/sub.dk <<END
task up   { run = "cat $room/repo/data/x.csv" }
task here { run = "cat $room/repo/exp/y" }
END
put exp/y <<<y
commit
run -e 1 run exp/sub.dk
has '`inputs { x = file("../data/x.csv") }`'
has '`inputs { x = file("y") }`'

# What comes beside the repository between two tasks is seen by the second.
put beside.dk <<END
task first  { outputs { o = "o" }  run = "mkdir -p $room/late; echo late > $room/late/f; echo > {{outputs.o}}" }
task second { inputs { o = first.o }  run = "cat $room/late/f" }
END
commit
run run beside.dk
has '2 ran'

# A second place of a folder above the repository must not lead in by its own name's rule.
mkdir "$room/alias"
if mount --bind "$room" "$room/alias" 2>/dev/null; then
  mounts+=("$room/alias")
  run -e 1 run closed.dk
  has '9 failed'
fi

# A repository that holds HOME cannot be closed: what programs keep there must be readable.
HOME=$room/repo/home
mkdir "$HOME"
put athome.dk <<<"task t { run = \"cat $room/repo/data/x.csv\" }"
commit
run run athome.dk
has '1 ran'
