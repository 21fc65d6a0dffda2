#!/bin/bash
# Runs on ssh hosts: what goes there, what comes back, what stays; hosts that do not suit, that are lost, that are taken out of the file.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/lib.sh"
. "$here/../support/hosts.sh"

at_end+=(hosts_down)
hosts_up 2

repo
mkdir -p "$XDG_CONFIG_HOME/dkrun"
providers() { # fields of lab
  echo "provider lab { kind = \"ssh\"  hosts = [\"h1\", \"h2\"]  config = \"$hosts/ssh_config\"  lost_after = 5s  $* }" \
    >"$XDG_CONFIG_HOME/dkrun/providers.dk"
}
only() { # hosts
  echo "provider lab { kind = \"ssh\"  hosts = [$1]  config = \"$hosts/ssh_config\"  lost_after = 5s }" \
    >"$XDG_CONFIG_HOME/dkrun/providers.dk"
}
agent_files() { find "$hosts/h$1/home/.cache/dkrun/h$1" -path "*/objects/??/*" -type f | wc -l; }

# Code with an executable, a link and a folder; a file and a folder as inputs; a script; the environment is the host's.
put code/bin/say <<'END'
#!/bin/sh
echo "said $1"
END
chmod +x code/bin/say
ln -s say code/bin/also
put data/one.txt <<<'one'
put data/two.txt <<<'two'
put in.txt <<<'an input'
put e.dk <<'END'
experiment e { }
task first {
  code = ["code"]
  inputs { file = file("in.txt")  all = file("data") }
  outputs { small = "small"  large = "large"  tree = "tree/" }
  env { MINE = "mine" }
  metrics { n = match(stdout, 'n=([0-9]+)') }
  run = """
    uname -n
    code/bin/also this
    cat {{inputs.file}} {{inputs.all}}/*.txt
    echo "home=$HOME mine=$MINE tz=$TZ"
    echo small > {{outputs.small}}
    head -c 3000000 /dev/urandom > {{outputs.large}}
    mkdir -p {{outputs.tree}}/deep; cp {{outputs.large}} {{outputs.tree}}/deep/copy; ln -s deep/copy {{outputs.tree}}/link
    echo n=7
    seq 1 5000 | tr "\n" " " # more than travels in a result
  """
}
task second {
  inputs { large = first.large  tree = first.tree }
  outputs { sum = "sum" }
  run = "uname -n; cmp {{inputs.large}} {{inputs.tree}}/link && wc -c < {{inputs.large}} > {{outputs.sum}}"
}
END
commit
only '"h1"'
run run e.dk --foreground
has 'done: 2 ran, 0 cached, 0 failed'
run logs first
has h1
has 'said this'
has 'an input'
has two
has 'home=/root mine=mine tz=UTC'
has " 5000 "
run results --format csv
has 7
run logs second
has h1 # where its inputs are
! find .dkrun/objects -type f -size +2000k | grep -q . || fail "a large output came though nobody wanted it"
grep -rqx small .dkrun/objects || fail "a small output did not come"

# Nothing moves twice, and nothing is done twice.
before=$(agent_files 1)
run run e.dk --foreground
has 'nothing to do'
[ "$(agent_files 1)" -eq "$before" ] || fail "objects went there again"

# A consumer that can only run on the other host: its input goes through here.
sed -i 's/"uname -n; cmp/"uname -n; echo again; cmp/' e.dk
only '"h2", "h1"'
put e2.dk <<'END'
experiment e { }
END
host_link 1 up
run run e.dk --foreground
has '1 ran, 1 cached'
run logs second
has h1

# Its only copy is lost: what made it runs again, in the same run.
# (h2 may have been up first: then it came here, before h1 was there to take the task.)
find .dkrun/objects "$hosts/h2/home" -type f -size +2000k -path "*/objects/*" -delete
sed -i 's/echo again/echo once more/' e.dk
host_link 1 down
run run e.dk --foreground
has '0 failed'
run logs second
has 'once more'
has h2
run logs first
has h2
host_link 1 up

# A mount that one host lacks: the task goes where it is.
host_exec 2 mkdir -p /var/tmp/only-here
host_exec 2 sh -c 'echo from the mount > /var/tmp/only-here/f'
put m.dk <<'END'
experiment m { }
grid g { x in 1..4 }
task read over g {
  inputs { data = mount("/var/tmp/only-here", version = "1") }
  run = "uname -n; cat /var/tmp/only-here/f; : {{x}}"
}
END
only '"h1", "h2"'
run plan m.dk
has '0 cached, 4 to run'
run why m.dk t1
has 'it never ran'
run run m.dk --foreground
has '4 ran'
for t in t1 t2 t3 t4; do
  run logs $t
  has h2
  has 'from the mount'
done

# One that none has: it fails with words.
put none.dk <<'END'
experiment none { }
task read {
  inputs { data = mount("/etc/dkrun-nowhere", version = "1") }
  run = "cat /etc/dkrun-nowhere"
}
END
run -e 1 run none.dk --foreground
has 'could not be started: on h'
has 'its mount /etc/dkrun-nowhere is not there'
[[ $out =~ run\ ([0-9]+)\ \ 1\ failed ]] || fail "which run was it"
run status "${BASH_REMATCH[1]}"
has 'FAILED  t1 read   could not be started: on h'
has 'its mount /etc/dkrun-nowhere is not there'
# So do all of many, and none waits for ever.
sed -i 's/^task read {/grid g { x in 1..60 }\ntask read over g {/; s/cat /: {{x}}; cat /' none.dk
run -e 1 run none.dk --foreground -q
has ' 60 failed'
has 'its mount /etc/dkrun-nowhere is not there'

# Where a failure was is said.
put fails.dk <<'END'
task fails { run = "uname -n; exit 7" }
END
run -e 1 run fails.dk --foreground
[[ $out =~ FAILED\ \ t1\ fails\ \ on\ (h[12])\ \ \ exit\ code\ 7 ]] || fail "where it failed"
[[ $out =~ run\ ([0-9]+)\ \ 1\ failed ]] || fail "which run was it"
number=${BASH_REMATCH[1]}
run logs fails
where=$out
run status "$number"
has "FAILED  t1 fails  on $where   exit code 7"
run status "$number" --format json
has "\"host\":\"$where\""
run why fails --run "$number"
has "  failed in run $number on $where (exit code 7)"

# Closed now: nothing starts there.
providers 'hours = "00:00-00:01"'
sed -i 's/: {{x}}/: a {{x}}/' m.dk
case $(date +%H:%M) in 00:0*) ;; *)
  timeout 3 "$dkrun" run m.dk --foreground >"$room/closed" 2>&1 && fail "it ran out of hours"
  ! grep -q 'done t' "$room/closed" || fail "a task started out of hours"
  ;;
esac

# Another system: no tasks, unless that is meant.
for i in 1 2; do
  host_exec "$i" sh -c 'sed s/^VERSION_ID=.*/VERSION_ID=99/ /etc/os-release > /run/os-release; mount --bind /run/os-release /etc/os-release'
done
providers ''
sed -i 's/: a {{x}}/: b {{x}}/' m.dk
run -e 4 run m.dk --foreground
has_err 'no host can be given tasks: h'
has_err 'mixed = true'
providers 'mixed = true'
run run m.dk --foreground
has '4 ran'

# What was made there counts on when that is taken back (docs/adr/0023).
put mixed.dk <<'END'
grid g { x in [1, 2, 3] }
task t over g { run = "grep VERSION_ID /etc/os-release; echo {{x}}" }
END
run run mixed.dk --foreground
has '3 ran'
run logs t1
has 'VERSION_ID=99'
providers ''
run plan mixed.dk
has '3 cached, 0 to run'
