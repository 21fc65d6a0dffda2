# Durable transactions: LMDB with fdatasync, alone and below our store.
# shellcheck shell=bash disable=SC2154,SC2164,SC2103 # sourced by run: its variables, and its `set -e`

commit_n=1000

commit_run() {
  local who=$1 round=$2 records
  for records in 1 16 256; do
    take "commit$records" "$who" "$commit_n" -- "$programs/bench_commit" "$who" "$PWD/$who.$records.$round" "$commit_n" "$records"
  done
}

bench_commit() {
  mkdir commit
  cd commit
  if $quick; then commit_n=10; fi
  in_turn commit_run lmdb store
  local records
  for records in 1 16 256; do
    row "commit$records" "durable transactions, records in each: $records" txn store lmdb -
  done
}
