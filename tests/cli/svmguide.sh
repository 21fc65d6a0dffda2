#!/bin/bash
# The example, with the real libsvm-tools: the published accuracies exactly, then nothing to do, then just the points of a new value.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v svm-train >/dev/null || { echo 'SKIP: libsvm-tools are not installed'; exit 77; }
example=$(realpath "$(dirname "$0")/../../examples/svmguide")
repo
cp -r "$example/." .
commit

run run
has 'done: 109 ran, 0 cached, 0 failed'
run results --format csv
has 'raw,66.925'
has 'scaled,96.15'
has 'published,96.875'
final=$(sed -n 's/^final,//p' <<<"$out")
# The folds of the cross-validation are libsvm's own random ones: the picked point may differ between its versions, its accuracy only a little.
awk -v a="$final" 'BEGIN { exit !(a > 96 && a < 98) }' || fail "final is $final"

run run
has 'nothing to do: 109 cached'
sed -i 's/-5\.\.15 by 2/-5..17 by 2/' svmguide.dk
run plan
has 'c=131072 is new (svmguide.dk:12)'
run run
has '8 ran'
