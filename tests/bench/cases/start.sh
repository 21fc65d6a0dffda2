# Starting up: what a person waits for before anything happens.
# shellcheck shell=bash disable=SC2154,SC2164,SC2103 # sourced by run: its variables, and its `set -e`

start_tools=(dkrun make ninja git snakemake)

start_files() {
  repository "$PWD/dkrun" <<'DK'
param x = 0
grid g { a in 1..3  b in ["x", "y"] }
task t over g {
  outputs { o = "o" }
  run = "echo {{a}} {{b}} > {{outputs.o}}"
}
task u {
  inputs { all = gather(t.o) }
  run = "cat {{inputs.all}}"
}
DK
  cd ..
  repository "$PWD/one" <<'DK'
param x = 0
task t {
  run = ["sh", "-e", "-c", ": {{x}}"]
}
DK
  cd ..
  mkdir peers
  printf '.PHONY: t\nt:\n\t@: 1\n' >peers/Makefile
  printf 'rule r\n  command = : 1\nbuild t: r\n' >peers/build.ninja
  printf 'rule t:\n    output: touch("o")\n    shell: ":"\n' >peers/Snakefile
}

start_version() {
  local who=$1 round=$2 program=$1
  if [ "$who" = dkrun ]; then program=$dkrun; fi
  # It takes half a second: three times say enough.
  [ "$who" != snakemake ] || [ "$round" -le 3 ] || return 0
  take version "$who" 1 -- "$program" --version
}

start_check() {
  (cd dkrun && take check dkrun 1 -- "$dkrun" check)
}

# Cold: an agent and its keeper are started too. Warm: they are there from an earlier run.
start_one() {
  local who=$1 round=$2
  case $who in
  dkrun)
    (cd one && take cold dkrun 1 -- "$dkrun" run -q -p "x=$round")
    ;;
  warm)
    (cd one && "$dkrun" run -q -p "x=-$round" >/dev/null && take warm dkrun 1 -k -- "$dkrun" run -q -p "x=1000$round")
    ;;
  make) (cd peers && take cold make 1 -- make -s && take warm make 1 -- make -s) ;;
  ninja) (cd peers && take cold ninja 1 -- ninja && take warm ninja 1 -- ninja) ;;
  snakemake)
    [ "$round" -le 3 ] || return 0
    (cd peers && rm -f o && take cold snakemake 1 -- snakemake -j 1 --quiet all)
    ;;
  esac
}

bench_start() {
  local rounds=$((rounds * 5)) # milliseconds: more of them
  mkdir start
  cd start
  start_files
  in_turn start_version "${start_tools[@]}"
  in_turn start_check dkrun
  in_turn start_one dkrun warm make ninja snakemake
  row version "--version" ms dkrun git '<=6'
  row version "--version" ms dkrun make -
  row version "--version" ms dkrun ninja -
  row version "--version" ms dkrun snakemake -
  row check "check of a small file" ms dkrun - '<=6'
  row warm "a run of one task, durable; its agent is there" ms dkrun make '<=15'
  row warm "a run of one task, durable; its agent is there" ms dkrun ninja -
  row cold "a run of one task, durable; the agent is started" ms dkrun make -
  row cold "a run of one task, durable; the agent is started" ms dkrun ninja -
  row cold "a run of one task, durable; the agent is started" ms dkrun snakemake -
}
