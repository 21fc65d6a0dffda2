/* Holes in scripts: values arrive byte for byte in real bash, whatever they hold and wherever a hole may stand; places
 * where bash would read a value as program are refused. */
#include "tests/unit/plan/support.h"

#include "lang/base/alloc.h"
#include "lang/plan/quote.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* @ is the hole. `want`: what the script prints, @ for the value. */
static const struct {
  const char *script, *want;
} places[] = {
    {"printf %s @", "@"},
    {"printf %s \"@\"", "@"},
    {"printf %s 'x@y'", "x@y"},
    {"printf %s $'a\\'@b'", "a'@b"},
    {"printf %s $\"a@b\"", "a@b"},
    {"printf %s @@", "@@"},
    {"printf %s a@b", "a@b"},
    {"printf %s \"a\"@'b'", "a@b"},
    {"x=@; printf %s \"$x\"", "@"},
    {"x=a@b y=\"@\"; printf %s \"$x$y\"", "a@b@"},
    {"declare y=@; printf %s \"$y\"", "@"},
    {"x=(@ z); printf %s \"${x[0]}\"", "@"},
    {"printf %s \"$(printf %s @; echo .)\"", "@."},
    {"printf %s \"$(printf %s \"@\"; echo .)\"", "@."},
    {"printf %s $(printf %s @ >/dev/null; echo k)", "k"},
    {"printf %s \"$(case a in a) printf %s @;; esac; echo .)\"", "@."},
    {"case a in a) printf %s @;; esac", "@"},
    {"case @ in *) printf %s ok;; esac", "ok"},
    {"cat <<EOF\n@\nEOF\n", "@\n"},
    {"cat <<EOF\nEOF@\nEOF\n", "EOF@\n"},
    {"cat <<-EOF\n\ta@b\n\tEOF\n", "a@b\n"},
    {"cat <<EOF\n$(printf %s @; echo .)\nEOF\n", "@.\n"},
    {"cat <<EOF\n\"@\" '@'\nEOF\nprintf %s @", "\"@\" '@'\n@"},
    {"cat <<EOF\n${u:-@}\nEOF\n", "@\n"},
    {"cat <<'A' >/dev/null; cat <<B\n$(x `\nA\n@\nB\n", "@\n"},
    {"cat <<\"A B\" >/dev/null\nit's\nA B\nprintf %s '@'", "@"},
    {"x=$(cat <<EOF\n@\nEOF\necho .)\nprintf %s \"$x\"", "@\n."},
    {"cat <<< @", "@\n"},
    {"cat <<< \"@\"", "@\n"},
    {"printf %s \"${u:-@}\"", "@"},
    {"printf %s \"${u-\"@\"}\"", "@"},
    {"printf %s ${u:-@}", "@"},
    {"printf %s ${u:-'@'}", "@"},
    {"x=@; printf '<%s>' \"${x#@}\"", "<>"},
    {"x=@; printf '<%s>' \"${x%%\"@\"}\"", "<>"},
    {"x=@; printf '<%s>' ${x#'@'}", "<>"},
    {"for v in @; do printf %s \"$v\"; done", "@"},
    {"f() { printf %s \"$1\"; }; f @", "@"},
    {"if true; then printf %s @; fi", "@"},
    {"( printf %s @ )", "@"},
    {"{ printf %s @; }", "@"},
    {"true && printf %s @ || true", "@"},
    {"printf %s @ | cat", "@"},
    {"printf %s @ # it's \"odd\n", "@"},
    {"printf %s \"it's @\"", "it's @"},
    {"printf %s 'say \"@\"'", "say \"@\""},
    {"printf %s a$@", "a$@"},
    {"printf %s \"a$@\"", "a$@"},
    {"cat <<EOF\n$@\nEOF\n", "$@\n"},
    {"printf %s \"\\$@\"", "$@"},
    {"printf %s \"a\\\\@\"", "a\\@"},
    {"printf %s \\'@", "'@"},
    {"printf %s a\\ @", "a @"},
    {"printf %s a#@", "a#@"},
    {"printf %s \"#@\"", "#@"},
    {": $((1<<2)); printf %s @", "@"},
    {": $(( $(printf %s @ >/dev/null; echo 1) + 1 )); printf %s @", "@"},
    {"((1 < 2)) && printf %s @", "@"},
    {": `echo \"it's\" \\`echo x\\``; printf %s @", "@"},
    {"[[ @ == @ ]] && printf %s ok", "ok"},
    {"[ @ = @ ] && printf %s ok", "ok"},
    {"printf %s \\\n@", "@"},
    {"printf %s ${u:-a}@", "a@"},
    {"x=1; printf %s \"${x}@$x@\"", "1@1@"},
    {"printf %s \"$x$$@\" | tr -d 0-9 >/dev/null; printf %s @", "@"},
    {"cat <(printf %s @)", "@"},
    {"bash -c 'printf %s \"$1\"' - @", "@"},
    {"x=${u:+$(echo \")\")}; printf %s @", "@"},
};
static const struct {
  const char *data;
  size_t len;
} values[] = {
#define V(text)                                                                                                        \
  { text, sizeof text - 1 }
    V("plain"),
    V(""),
    V("it's"),
    V("'"),
    V("''"),
    V("\""),
    V("\\"),
    V("\\'"),
    V("a\\"),
    V("$(touch pwned)"),
    V("`touch pwned`"),
    V("; touch pwned"),
    V("\ntouch pwned\n"),
    V("' ; touch pwned '"),
    V("\" ; touch pwned \""),
    V("\nEOF\ntouch pwned\n"),
    V("EOF"),
    V("A"),
    V("${x}"),
    V("$x"),
    V("$"),
    V("*"),
    V("[a-z]"),
    V("?"),
    V("~"),
    V("-n"),
    V("!"),
    V("#x"),
    V(" a  b "),
    V("\t"),
    V("x\n"),
    V("\n"),
    V("\xff\xfe\x80"),
    V("\xc3\xa9\xe2\x82\xac"),
    V("\xe2'\xe2"),
    V("%s%d"),
    V("a&b|c<d>e(f)g"),
    V("{a,b}"),
    V("\x01\x02\x1b\x7f"),
    V("a]"),
    V("x[$(touch pwned)]"),
    V("1+1"),
    V("}"),
    V("${u:-$(touch pwned)}"),
    V("=="),
#undef V
};
#define N_PLACES (sizeof places / sizeof *places)
#define N_VALUES (sizeof values / sizeof *values)

/* The first dozen and a few go everywhere, the others into every fourth place (a subshell each is the test's time). */
static bool is_tried(size_t place, size_t value) {
  return value < 15 || (place + value) % 4 == 0;
}

/* Feeds a script with @ holes; the result of the first hole that is refused. */
static enum dk_quote_result feed(struct dk_quote_state *state, struct dk_buf *out, const char *script, bool is_list) {
  dk_quote_init(state, out);
  for (const char *at = script;;) {
    const char *hole = strchr(at, '@');
    dk_quote_text(state, at, hole ? (size_t)(hole - at) : strlen(at));
    if (!hole) break;
    enum dk_quote_result result = dk_quote_hole(state, 1, is_list, hole[1] == '@' ? -1 : (unsigned char)hole[1]);
    if (result != DK_QUOTE_OK) return result;
    at = hole + 1;
  }
  dk_quote_end(state);
  return DK_QUOTE_OK;
}

static void write_file(const char *path, const struct dk_buf *text) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(dk_buf_text(text), 1, text->len, file), text->len);
  assert_int_equal(fclose(file), 0);
}

static void read_file(const char *path, struct dk_buf *out) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  char block[4096];
  for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;) dk_buf_add(out, block, n);
  fclose(file);
}

static void test_arrives(void **state_unused) {
  (void)state_unused;
  char dir[] = "/tmp/dk-quote-XXXXXX", path[128];
  assert_non_null(mkdtemp(dir));
  struct dk_quote_state *state = dk_calloc(1, sizeof *state);
  for (size_t p = 0; p < N_PLACES; p++) {
    dk_autobuf script = DK_BUF_INIT;
    assert_int_equal(feed(state, &script, places[p].script, false), DK_QUOTE_OK);
    for (size_t v = 0; v < N_VALUES; v++) {
      if (!is_tried(p, v)) continue;
      dk_autobuf whole = DK_BUF_INIT;
      dk_buf_add_text(&whole, "dk_1=");
      dk_quote_value(&whole, values[v].data, values[v].len);
      dk_buf_add_char(&whole, '\n');
      dk_buf_add(&whole, dk_buf_text(&script), script.len);
      snprintf(path, sizeof path, "%s/s%zu", dir, p * N_VALUES + v);
      write_file(path, &whole);
    }
  }
  /* One bash reads them all, each in a subshell: starting thousands would be the test's whole time. */
  char command[512];
  snprintf(
      command, sizeof command,
      "mkdir %s/work && cd %s/work && LC_ALL=C.UTF-8 bash -euo pipefail -c 'set +e; for ((i = 0; i < %zu; i++)); do "
      "[ -f ../s$i ] || continue; ( set -e; . ../s$i ) > ../o$i 2> ../e$i < /dev/null || echo failed >> ../o$i; done'",
      dir, dir, N_PLACES * N_VALUES);
  assert_int_equal(system(command), 0);
  for (size_t i = 0; i < N_PLACES * N_VALUES; i++) {
    size_t p = i / N_VALUES, v = i % N_VALUES;
    if (!is_tried(p, v)) continue;
    dk_autobuf have = DK_BUF_INIT, want = DK_BUF_INIT;
    snprintf(path, sizeof path, "%s/o%zu", dir, i);
    read_file(path, &have);
    for (const char *at = places[p].want; *at; at++) {
      if (*at == '@')
        dk_buf_add(&want, values[v].data, values[v].len);
      else
        dk_buf_add_char(&want, *at);
    }
    if (have.len != want.len || memcmp(dk_buf_text(&have), dk_buf_text(&want), want.len) != 0) {
      dk_autobuf shown = DK_BUF_INIT;
      dk_buf_add_escaped(&shown, dk_buf_text(&have), have.len);
      dk_buf_add_text(&shown, "\nwant ");
      dk_buf_add_escaped(&shown, dk_buf_text(&want), want.len);
      fail_msg("%s with value %zu:\nhave %s", places[p].script, v, dk_buf_text(&shown));
    }
  }
  snprintf(path, sizeof path, "%s/work/pwned", dir);
  assert_int_not_equal(access(path, F_OK), 0);
  snprintf(command, sizeof command, "rm -rf %s", dir);
  assert_int_equal(system(command), 0);
  dk_free(state);
}

static void test_refused(void **state_unused) {
  (void)state_unused;
  static const struct {
    const char *script;
    enum dk_quote_result result;
  } cases[] = {
      {"echo # @", DK_QUOTE_IN_COMMENT},
      {"# @\necho", DK_QUOTE_IN_COMMENT},
      {"echo a # it's \"@\"", DK_QUOTE_IN_COMMENT},
      {"cat <<'EOF'\n@\nEOF\n", DK_QUOTE_IN_HEREDOC},
      {"cat <<\\EOF\na\n@\nEOF\n", DK_QUOTE_IN_HEREDOC},
      {"cat <<\"EOF\"\n$(x @)\nEOF\n", DK_QUOTE_IN_HEREDOC},
      {"cat << @\nx\n", DK_QUOTE_IN_DELIMITER},
      {"cat <<E@\nx\n", DK_QUOTE_IN_DELIMITER},
      {"echo `echo @`", DK_QUOTE_IN_BACKTICKS},
      {"echo \"`echo '@'`\"", DK_QUOTE_IN_BACKTICKS},
      {"cat <<EOF\n`echo @`\nEOF\n", DK_QUOTE_IN_BACKTICKS},
      {"echo $((1 + @))", DK_QUOTE_IN_ARITHMETIC},
      {"echo $(( (2) * \"@\" ))", DK_QUOTE_IN_ARITHMETIC},
      {"echo $[ @ ]", DK_QUOTE_IN_ARITHMETIC},
      {"(( @ > 1 )) && echo", DK_QUOTE_IN_ARITHMETIC},
      {"if (( @ > 1 )); then echo; fi", DK_QUOTE_IN_ARITHMETIC},
      {"for ((i = 0; i < @; i++)); do :; done", DK_QUOTE_IN_ARITHMETIC},
      {"cat <<EOF\n$(( @ ))\nEOF\n", DK_QUOTE_IN_ARITHMETIC},
      {"echo ${x:@:1}", DK_QUOTE_IN_ARITHMETIC},
      {"echo \"${x[@]}\"", DK_QUOTE_IN_ARITHMETIC},
      {"echo ${x[\"@\"]}", DK_QUOTE_IN_ARITHMETIC},
      {"a[@]=1", DK_QUOTE_IN_ARITHMETIC},
      {"echo; a[\"@\"]=1", DK_QUOTE_IN_ARITHMETIC},
      {"echo ${@}", DK_QUOTE_IN_PARAMETER},
      {"echo \"${x@}\"", DK_QUOTE_IN_PARAMETER},
      {"echo \\@", DK_QUOTE_AFTER_BACKSLASH},
      {"echo \"\\@\"", DK_QUOTE_AFTER_BACKSLASH},
  };
  struct dk_quote_state *state = dk_calloc(1, sizeof *state);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dk_autobuf out = DK_BUF_INIT;
    enum dk_quote_result result = feed(state, &out, cases[i].script, false);
    if (result != cases[i].result) fail_msg("%s: %d, wanted %d", cases[i].script, (int)result, (int)cases[i].result);
  }
  dk_free(state);
}

static void test_lists(void **state_unused) {
  (void)state_unused;
  static const struct {
    const char *script;
    bool fine;
  } cases[] = {
      {"x @", true},
      {"x @ y", true},
      {"@", true},
      {"for v in @; do :; done", true},
      {"x=(@)", true},
      {"x >(@)", true},
      {"x a@", false},
      {"x @b", false},
      {"x \"@\"", false},
      {"x '@'", false},
      {"x=@", false},
      {"x @@", false},
      {"cat <<E\n@\nE\n", false},
      {"x ${u:-@}", false},
      {"x \"$(y @)\"", true},
  };
  struct dk_quote_state *state = dk_calloc(1, sizeof *state);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dk_autobuf out = DK_BUF_INIT;
    enum dk_quote_result result = feed(state, &out, cases[i].script, true);
    if (result != (cases[i].fine ? DK_QUOTE_OK : DK_QUOTE_LIST_IN_WORD))
      fail_msg("%s: %d", cases[i].script, (int)result);
    if (cases[i].fine) assert_non_null(strstr(dk_buf_text(&out), "\"${dk_1[@]}\""));
  }
  dk_free(state);
}

static void test_parsed_again(void **state_unused) {
  (void)state_unused;
  static const struct {
    const char *script, *command; /* NULL: no warning */
  } cases[] = {
      {"eval echo @", "eval"},
      {"sh -c 'echo @'", "sh -c"},
      {"bash -lc \"echo @\"", "bash -c"},
      {"/bin/bash -c \"echo @\"", "bash -c"},
      {"timeout 10 bash -c 'echo @'", "bash -c"},
      {"env -i A=1 sh -c 'echo @'", "sh -c"},
      {"ssh host ls @", "ssh"},
      {"awk '{ print @ }' f", "awk"},
      {"python3 -c 'print(@)'", "python3 -c"},
      {"perl -e 'print @'", "perl -e"},
      {"x | xargs sh -c 'echo @'", "sh -c"},
      {"if eval @; then :; fi", "eval"},
      {"[[ @ -eq 3 ]]", "[[ -eq"},
      {"[[ 3 -gt @ ]]", "[["},
      {"let n=@", "let"},
      {"declare -i n=@", "declare"},
      {"declare -r n=@", NULL},
      {"bash -c 'echo \"$1\"' - @", NULL},
      {"sh script.sh -c @", NULL},
      {"python3 train.py -c @", NULL},
      {"python3 -m pkg -c @", NULL},
      {"python3 -c 'import sys' @", NULL},
      {"awk -v x=@ '{ print x }' f", NULL},
      {"awk '{ print }' @", NULL},
      {"awk -f prog @", NULL},
      {"ssh @ ls", NULL},
      {"[[ @ == 3 ]]", NULL},
      {"[ @ -eq 3 ]", NULL},
      {"echo eval @", NULL},
      {"evaluate @", NULL},
  };
  struct dk_quote_state *state = dk_calloc(1, sizeof *state);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dk_autobuf out = DK_BUF_INIT;
    assert_int_equal(feed(state, &out, cases[i].script, false), DK_QUOTE_OK);
    if (!cases[i].command && state->n_warnings)
      fail_msg("%s: warns of %s", cases[i].script, state->warnings[0].command);
    if (cases[i].command && !state->n_warnings) fail_msg("%s: no warning", cases[i].script);
    if (cases[i].command) assert_string_equal(state->warnings[0].command, cases[i].command);
  }
  dk_free(state);
}

/* Any text at all: no crash, and what is not a hole is copied as it is. */
static void test_any_text(void **state_unused) {
  (void)state_unused;
  static const char alphabet[] = "ab \n'\"`$(){}[]<>#\\|;&=-:EOF\t";
  struct dk_quote_state *state = dk_calloc(1, sizeof *state);
  uint64_t seed = 7;
  for (uint32_t round = 0; round < 20000; round++) {
    char text[64];
    uint32_t n = random_below(&seed, sizeof text - 1);
    for (uint32_t i = 0; i < n; i++) text[i] = alphabet[random_below(&seed, sizeof alphabet - 1)];
    text[n] = '\0';
    dk_autobuf out = DK_BUF_INIT;
    dk_quote_init(state, &out);
    dk_quote_text(state, text, n);
    dk_quote_end(state);
    assert_string_equal(dk_buf_text(&out), text);
  }
  dk_free(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_arrives),      cmocka_unit_test(test_refused),  cmocka_unit_test(test_lists),
      cmocka_unit_test(test_parsed_again), cmocka_unit_test(test_any_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
