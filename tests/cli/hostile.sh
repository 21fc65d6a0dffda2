#!/bin/bash
# A value with quotes, newlines, $(...) and bytes that are no UTF-8 reaches the program as it is, wherever a hole may stand.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put e.dk <<'EOF'
let values = [
  "plain", "", " two  words ", "it's \"quoted\"", "$(touch pwned) `touch pwned` $HOME ${HOME}", "a\nb\n\nc\n", "-n", "*",
  "back\\slash \\\\", "\xff\xfe\x80 bytes", "; exit 3 #", "'\"'\"'", "!history! && || | > <", "EOF\nEOF\n", "{{"{{"}}dk_1}}", "\t tab"
]
grid g { v in values }
task t over g {
  outputs { o = "out.txt" }
  env     { FROM_ENV = v }
  inputs  { w = write("v.txt", v) }
  run = """
    printf '%s|' {{v}} > {{outputs.o}}
    printf '%s|' "{{v}}" >> {{outputs.o}}
    printf '%s|' '{{v}}' >> {{outputs.o}}
    printf '%s|' "<{{v}}>" >> {{outputs.o}}
    printf '%s|' "$(printf '%s.' {{v}})" >> {{outputs.o}}
    printf '%s|' "$FROM_ENV" >> {{outputs.o}}
    x={{v}}; printf '%s|' "$x" >> {{outputs.o}}
    printf '%s|' pre{{v}}post >> {{outputs.o}}
    cat <<END >> {{outputs.o}}
    [{{v}}]
    END
    [ ! -e pwned ]
  """
}
task list {
  outputs { o = "out.txt" }
  run = "printf '%s|' {{values}} > {{outputs.o}}"
}
task direct over g {
  outputs { o = "out.txt" }
  run = ["sh", "-c", "printf '%s|' \"$1\" > out.txt", "sh", v]
}
EOF
commit
run run
has 'done: 33 ran'

# Each output is found again by its content: what the shell must have written for this value.
expected() {
  printf '%s|%s|%s|<%s>|%s.|%s|%s|pre%spost|[%s]\n' "$1" "$1" "$1" "$1" "$1" "$1" "$1" "$1" "$1"
}
find .dkrun/objects -type f -path '*/??/*' -exec sha256sum {} + | cut -d' ' -f1 | sort >"$room/have"
# shellcheck disable=SC1003
values=(plain '' ' two  words ' "it's \"quoted\"" '$(touch pwned) `touch pwned` $HOME ${HOME}' $'a\nb\n\nc\n' -n '*'
  'back\slash \\' $'\xff\xfe\x80 bytes' '; exit 3 #' "'\"'\"'" '!history! && || | > <' $'EOF\nEOF\n' '{{dk_1}}' $'\t tab')
for value in "${values[@]}"; do
  expected "$value" | sha256sum | cut -d' ' -f1 | grep -qxFf - "$room/have" || fail "this value did not arrive as it is: $(printf '%q' "$value")"
  printf '%s|' "$value" | sha256sum | cut -d' ' -f1 | grep -qxFf - "$room/have" || fail "this argument did not arrive as it is: $(printf '%q' "$value")"
done
printf '%s|' "${values[@]}" | sha256sum | cut -d' ' -f1 | grep -qxFf - "$room/have" || fail 'the list did not arrive as it is'
[ -z "$(find . -name pwned)" ] || fail 'a value was run'
run results --format json
lacks_err error
run status
