/* Diagnostics for machines, read back by a JSON library. */
#include "tests/unit/diag/fixture.h"

#include <jansson.h>

static json_t *render(struct fixture *f) {
  dk_autobuf out = DK_BUF_INIT;
  assert_int_equal(dk_diags_render_json(&f->diags, &out), 0);
  json_t *root = json_loadb(dk_buf_text(&out), out.len, 0, NULL);
  assert_non_null(root);
  assert_int_equal(json_integer_value(json_object_get(root, "version")), 1);
  return root;
}

static const char *text(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static json_int_t number(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

static void test_all_parts(void **state) {
  struct fixture *f = *state;
  const struct dk_source *source = fixture_source(f, "a.dk", "\xc3\xa9 one\ntwo\n");
  struct dk_diag *diag = dk_diag_add(&f->diags, DK_E0101, fixture_span(source, "one\ntwo"), "a \"message\"");
  dk_diag_label(&f->diags, diag, "label");
  dk_diag_label_at(&f->diags, diag, fixture_span(source, "two"), "other");
  dk_diag_help(&f->diags, diag, "help");
  dk_diag_note(&f->diags, diag, "note");
  json_t *root = render(f);
  const json_t *item = json_array_get(json_object_get(root, "diagnostics"), 0);
  assert_string_equal(text(item, "code"), "E0101");
  assert_string_equal(text(item, "severity"), "error");
  assert_string_equal(text(item, "message"), "a \"message\"");
  assert_string_equal(text(item, "path"), "a.dk");
  assert_int_equal(number(item, "line"), 1);
  assert_int_equal(number(item, "column"), 3);
  assert_int_equal(number(item, "end_line"), 2);
  assert_int_equal(number(item, "end_column"), 4);
  assert_string_equal(text(item, "label"), "label");
  const json_t *label = json_array_get(json_object_get(item, "labels"), 0);
  assert_int_equal(number(label, "line"), 2);
  assert_string_equal(text(label, "text"), "other");
  assert_string_equal(json_string_value(json_array_get(json_object_get(item, "helps"), 0)), "help");
  assert_string_equal(json_string_value(json_array_get(json_object_get(item, "notes"), 0)), "note");
  json_decref(root);
}

static void test_no_place_and_bad_text(void **state) {
  struct fixture *f = *state;
  dk_diag_add(&f->diags, DK_E0101, DK_NO_SPAN, "bad \xff byte");
  json_t *root = render(f);
  const json_t *item = json_array_get(json_object_get(root, "diagnostics"), 0);
  assert_string_equal(text(item, "message"), "bad \\xff byte");
  assert_true(json_is_null(json_object_get(item, "path")));
  assert_true(json_is_null(json_object_get(item, "label")));
  assert_int_equal(json_array_size(json_object_get(item, "helps")), 0);
  json_decref(root);
}

static void test_empty(void **state) {
  json_t *root = render(*state);
  assert_int_equal(json_array_size(json_object_get(root, "diagnostics")), 0);
  json_decref(root);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_all_parts),
      TEST(test_no_place_and_bad_text),
      TEST(test_empty),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
