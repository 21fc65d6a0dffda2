/* Clouds in files of providers: what is declared, what a repository may take away of it, and what is refused. The kinds
 * of clouds are this test's own. */
#include "lang/base/alloc.h"
#include "tests/unit/drive/two_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const struct dk_schema_field fields[] = {
    {"region", DK_KIND_TEXT, true, false, "the name of a region", "where"},
    {"key", DK_KIND_TEXT | DK_KIND_FILE, false, false, "the path of a key", "who we are"},
    {"volume", DK_KIND_INT, false, false, "a whole number", ""},
    {"public", DK_KIND_BOOL, false, false, "true or false", ""},
};
static const struct dk_schema schema = {"a provider of kind `far`", fields, 4};
static const struct dk_cloud_provider far = {.start = NULL}, near = {.knows_shapes = true};

const struct dk_provider dk_providers[] = {
    {.kind = "local"},
    {.kind = "pool", .is_remote = true},
    {.kind = "far", .schema = &schema, .is_remote = true, .cloud = &far},
    {.kind = "near", .is_remote = true, .cloud = &near},
    {.kind = NULL},
};

#define SMALL "{ name = \"small\" cpus = 2 memory = 4GiB disk = 10GiB price = 0.10USD/h }"
#define LARGE "{ name = \"x.large-2\" cpus = 8 gpus = 1 memory = 32GiB price = 1.5USD/h }"
#define FAR "provider lab { kind = \"far\" region = \"eu\" image = \"debian-12\" max_instances = 4 "
#define NEAR "provider lab { kind = \"near\" image = \"i\" max_instances = 1 "

static void test_declared(void **state) {
  (void)state;
  put("config/dkrun/key", "");
  put("config/dkrun/conf", "");
  static const struct row rows[] = {
      {FAR "shapes = [" SMALL "] }", NULL,
       "lab far debian-12 4x idle=300s boot=600s small:2/0/4/10/100000USD region=eu yours:1\n"},
      {FAR "shapes = [" SMALL ", " LARGE "] idle = 10s boot = 30s key = \"key\" volume = -5 public = true\n"
           "leave = 1 gpus = 0 nice = 5 hours = \"20:00-08:00\" root = \"/x\" lost_after = 2m mixed = true user = "
           "\"root\"\nport = 22 config = \"conf\" }",
       NULL,
       "lab far debian-12 4x idle=10s boot=30s small:2/0/4/10/100000USD x.large-2:8/1/32/0/1500000USD region=eu "
       "key=/config/dkrun/key volume=-5 public=true leave=1 gpus=0 nice=5 hours=20:00-08:00 mixed root=/x user=root "
       "port=22 config=/config/dkrun/conf lost=120s yours:1\n"},
      /* Values that are computed, members that are null, a price of nothing. */
      {"let sizes = [1, 2]\n"
       "provider n { kind = \"near\" image = \"i\" max_instances = 1000\n"
       "  shapes = [{ name = \"s{{c}}\" cpus = c gpus = null price = 0EUR/h } for c in sizes] }",
       NULL, "n near i 1000x idle=300s boot=600s s1:1/0/0/0/0EUR s2:2/0/0/0/0EUR yours:2\n"},
      {NEAR "}", NULL, "lab near i 1x idle=300s boot=600s yours:1\n"},
      /* Beside hosts, which come first. */
      {NEAR "}\nprovider here { kind = \"local\" }\nprovider p { kind = \"pool\" hosts = [\"h\"] }", NULL,
       "here.local local yours:2\np.h pool yours:3\nlab near i 1x idle=300s boot=600s yours:1\n"},
      {"image torch { from = \"d\" setup = \"apt\\n\\ttrue\" }\nprovider lab { kind = \"near\" image = torch "
       "max_instances = 1 }\nprovider own { kind = \"near\" image = { from = \"d\" setup = \"apt\\n\\ttrue\" } "
       "max_instances = 1 }",
       NULL,
       "lab near d 1x idle=300s boot=600s image=torch/9/a93c317d yours:2\n"
       "own near d 1x idle=300s boot=600s image=own/9/a93c317d yours:3\n"},
  };
  CHECK(rows, DK_HOSTS_AS_TRUSTED);
}

#define WANTS_SHAPES                                                                                                   \
  "`shapes` wants a list of records such as [{ name = \"small\" cpus = 2 memory = 4GiB price = 0.10USD/h }]: "
#define IMAGED(value) "provider lab { kind = \"near\" image = " value " max_instances = 1 }", NULL
#define OF(shape) NEAR "shapes = [" shape "] }", NULL

static void test_wrong(void **state) {
  (void)state;
  put("config/dkrun/open", "");
  assert_int_equal(chmod(at("config/dkrun/open"), 0622), 0);
  static const struct row rows[] = {
      {"provider lab { kind = \"far\" }", NULL,
       "E0208 yours 1:10 this provider of kind `far` lacks `image`\n"
       "E0208 yours 1:10 this provider of kind `far` lacks `max_instances`\n"
       "E0208 yours 1:10 this provider of kind `far` lacks `region`\n"
       "E0208 yours 1:10 this provider of kind `far` lacks `shapes`\n"},
      {NEAR "hosts = [\"h\"] }", NULL, "E0206 yours 1:60 no field `hosts` in a provider of kind `near`\n"},
      {"provider p { kind = \"pool\" hosts = [\"h\"] image = \"i\" }", NULL,
       "E0206 yours 1:42 no field `image` in a provider of kind `pool`\n"},
      {"provider lab { kind = \"near\" image = \"\" max_instances = 0 }", NULL,
       "E0224 yours 1:38 `image` wants the name of an image there, or an `image` block: there is nothing in it\n"
       "E0224 yours 1:57 `max_instances` wants a whole number from 1 to 1000, not 0\n"},
      {"provider lab { kind = \"near\" image = \"a\\nb\" max_instances = 1001 }", NULL,
       "E0224 yours 1:38 `image` wants the name of an image there, or an `image` block: there are signs in it that are "
       "no letters\n"
       "E0224 yours 1:61 `max_instances` wants a whole number from 1 to 1000, not 1001\n"},
      {IMAGED("{ from = \"d\" }"), "E0224 yours 1:38 `setup` of an image: it is missing\n"},
      {IMAGED("{ from = 1 setup = \"x\" }"), "E0224 yours 1:38 `from` of an image: this is no text\n"},
      {IMAGED("{ from = \"d\\n\" setup = \"x\" }"),
       "E0224 yours 1:38 `from` of an image: there are signs in it that are no letters\n"},
      {IMAGED("{ from = \"d\" setup = \"\" }"), "E0224 yours 1:38 `setup` of an image: there is nothing in it\n"},
      {IMAGED("{ from = \"d\" setup = \"x\" size = 1GiB }"),
       "E0224 yours 1:38 `size` of an image: it has `from` and `setup`\n"},
      {"image t { from = \"d\" }\n" NEAR "}", NULL, "E0208 yours 1:7 this image lacks `setup`\n"},
      {NEAR "idle = 9s boot = 29s }", NULL,
       "E0224 yours 1:67 `idle` wants a duration from 10s to 7d\nE0224 yours 1:77 `boot` wants a duration from 30s to "
       "7d\n"},
      {NEAR "idle = 8d }", NULL, "E0224 yours 1:67 `idle` wants a duration from 10s to 7d\n"},
      {NEAR "shapes = [] }", NULL, "E0224 yours 1:69 " WANTS_SHAPES "there is none in it\n"},
      {NEAR "shapes = [{ name = \"s{{i}}\" cpus = 1 } for i in 1..101] }", NULL,
       "E0224 yours 1:69 " WANTS_SHAPES "at most 100 of them\n"},
      {OF("\"small\""), "E0224 yours 1:70 " WANTS_SHAPES "this is no record\n"},
      {OF("{ cpu = 2 }"), "E0224 yours 1:70 this shape lacks `cpus`\nE0224 yours 1:70 this shape lacks `name`\n"
                          "E0224 yours 1:78 a shape has no `cpu`\n"},
      {OF("{ name = \"A\" cpus = 0 gpus = -1 memory = 4 disk = \"x\" price = 1USD }"),
       "E0224 yours 1:79 `name` of a shape wants a name of at most 63 letters a-z, digits and `. _ -`\n"
       "E0224 yours 1:90 `cpus` of a shape wants a whole number from 1 to 65535\n"
       "E0224 yours 1:99 `gpus` of a shape wants a whole number from 0 to 65535\n"
       "E0224 yours 1:111 `memory` of a shape wants a size such as 4GiB\n"
       "E0224 yours 1:120 `disk` of a shape wants a size such as 10GiB\n"
       "E0224 yours 1:132 `price` of a shape wants money an hour such as 0.10USD/h\n"},
      {OF("{ name = \"-a\" cpus = 65536 price = -1USD/h }"),
       "E0224 yours 1:79 `name` of a shape wants a name of at most 63 letters a-z, digits and `. _ -`\n"
       "E0224 yours 1:91 `cpus` of a shape wants a whole number from 1 to 65535\n"
       "E0224 yours 1:105 `price` of a shape wants money an hour such as 0.10USD/h\n"},
      {OF("{ name = \"a\" cpus = 1 }, { name = \"a\" cpus = 2 }"), "E0224 yours 1:104 shape `a` is named twice\n"},
      {OF("{ name = \"a\" cpus = 1 price = 1USD/h }, { name = \"b\" cpus = 1 }, { name = \"c\" cpus = 1 price = 1EUR/h "
          "}"),
       "E0224 yours 1:165 prices of a provider's shapes are in one currency: `a` has USD, `c` EUR\n"},
      {FAR "shapes = [" SMALL "] key = \"none\" }", NULL,
       "E0224 yours 1:171 `key` wants the path of a key: there is no such file\n"},
      {FAR "shapes = [" SMALL "] key = \"open\" volume = 1.5 public = 1 }", NULL,
       "E0224 yours 1:171 `key` wants the path of a key: it can be written to by others (chmod go-w)\n"
       "E0209 yours 1:187 `volume` wants a whole number, not a float\n"
       "E0209 yours 1:200 `public` wants true or false, not an integer\n"},
  };
  CHECK(rows, DK_HOSTS_AS_TRUSTED);
}

#define USER FAR "leave = 2 shapes = [" SMALL ", " LARGE "] }\n" /* `idle` is 5m */
#define LIMIT(fields) USER, "provider lab { " fields " }"

#define N63 "a12345678901234567890123456789012345678901234567890123456789012"
#define NEAR_OF(name) "provider " name " { kind = \"near\" image = \"i\" max_instances = 1 }\n"

/* Names that records have no room for, and those that a machine could have too. */
static void test_names(void **state) {
  (void)state;
  static const struct row rows[] = {
      {NEAR_OF(N63), NULL, N63 " near i 1x idle=300s boot=600s yours:1\n"},
      {NEAR_OF(N63 "4"), NULL,
       "E0224 yours 1:10 the name of a provider that makes machines has at most 63 bytes, not 64\n"},
      {OF("{ name = \"" N63 "\" cpus = 1 }"), "lab near i 1x idle=300s boot=600s " N63 ":1/0/0/0/? yours:1\n"},
      {OF("{ name = \"" N63 "4\" cpus = 1 }"),
       "E0224 yours 1:79 `name` of a shape wants a name of at most 63 letters a-z, digits and `. _ -`\n"},
      {"let n = 1\n" NEAR_OF("lab") "provider lab_1 { kind = \"pool\" hosts = [\"lab-1\"] }", NULL,
       "E0225 yours 3:10 host `lab-1` is named like a machine of `lab`\n"},
      {"provider p { kind = \"pool\" hosts = [\"lab-01\", \"lab-1x\", \"lab-\", \"lap-1\", \"-1\", \"lab1\"] "
       "}\n" NEAR_OF("lab"),
       NULL, "E0224 yours 1:74 this is no name of a host\n"},
      {NEAR "}", "provider p { kind = \"pool\" hosts = [\"lab-1\"] }\nprovider lab { }",
       "E0225 repository 1:10 host `lab-1` is named like a machine of `lab`\n"},
  };
  CHECK(rows, DK_HOSTS_AS_IF_TRUSTED);
}

static void test_limits(void **state) {
  (void)state;
  put("conf", "");
  static const struct row rows[] = {
      {LIMIT(""), "lab far debian-12 4x idle=300s boot=600s small:2/0/4/10/100000USD x.large-2:8/1/32/0/1500000USD "
                  "region=eu leave=2 yours:1 repository:1\n"},
      {LIMIT("max_instances = 1 idle = 1m leave = 3 gpus = 0 nice = 19 hours = \"20:00-08:00\" shapes = "
             "[\"x.large-2\"]"),
       "lab far debian-12 1x idle=60s boot=600s x.large-2:8/1/32/0/1500000USD region=eu leave=3 gpus=0 nice=19 "
       "hours=20:00-08:00 yours:1 repository:1\n"},
      {LIMIT("max_instances = 4 idle = 5m shapes = [\"x.large-2\", \"small\"]"),
       "lab far debian-12 4x idle=300s boot=600s x.large-2:8/1/32/0/1500000USD small:2/0/4/10/100000USD region=eu "
       "leave=2 yours:1 repository:1\n"},
      {LIMIT("max_instances = 5 idle = 6m leave = 1"),
       "E0226 repository 1:32 `max_instances` of provider `lab` may only be lowered here, not set to 5\n"
       "E0226 repository 1:41 `idle` of provider `lab` may only be lowered here, not set to 6m\n"
       "E0226 repository 1:52 `leave` of provider `lab` may only be raised here, not set to 1\n"},
      {LIMIT("shapes = [\"small\", \"smal\", \"small\", 1]"),
       "E0226 repository 1:35 shape `smal` is none of your provider `lab`\n"
       "E0224 repository 1:43 shape `small` is named twice\n"
       "E0224 repository 1:52 `shapes` wants a list of names such as [\"small\"]: this is no text\n"},
      {LIMIT("shapes = [" SMALL "]"),
       "E0224 repository 1:26 `shapes` wants a list of names such as [\"small\"]: this is no text\n"},
      {LIMIT("image = \"x\" boot = 5m region = \"us\" volume = 1 key = \"../conf\" user = \"x\""),
       "E0226 repository 1:16 `image` of provider `lab` is not for a repository to say\n"
       "E0226 repository 1:28 `boot` of provider `lab` is not for a repository to say\n"
       "E0226 repository 1:38 `region` of provider `lab` is not for a repository to say\n"
       "E0226 repository 1:52 `volume` of provider `lab` is not for a repository to say\n"
       "E0226 repository 1:63 `key` of provider `lab` is not for a repository to say\n"
       "E0226 repository 1:79 `user` of provider `lab` is not for a repository to say\n"},
      {NEAR "}", "provider lab { shapes = [\"small\"] }",
       "E0226 repository 1:26 shape `small` is none of your provider `lab`\n"},
      {USER, NEAR "}", "E0226 repository 1:10 a repository may not declare provider `lab`\n"},
      /* What is wrong in the user's file is told there alone. */
      {FAR "shapes = [1] }", "provider lab { shapes = [\"small\"] max_instances = 9 }",
       "E0224 yours 1:91 " WANTS_SHAPES "this is no record\n"},
      /* Others of the user's are not used then. */
      {USER "provider here { kind = \"local\" }", "provider here { }", "here.local local yours:2 repository:1\n"},
  };
  CHECK(rows, DK_HOSTS_AS_TRUSTED);
}

static void test_trusted(void **state) {
  (void)state;
  put("repo/key", "");
  put("key", "");
  static const struct row rows[] = {
      {USER, NEAR "}", "lab near i 1x idle=300s boot=600s repository:1\n"},
      {NULL, FAR "shapes = [" SMALL "] key = \"../key\" }",
       "lab far debian-12 4x idle=300s boot=600s small:2/0/4/10/100000USD region=eu key=/key repository:1\n"},
      {NULL, FAR "shapes = [" SMALL "] key = \"key\" }",
       "E0224 repository 1:171 `key` wants the path of a key: it lies in the repository, where a checkout could change "
       "it after it was trusted\n"},
  };
  CHECK(rows, DK_HOSTS_AS_IF_TRUSTED);
}

/* Whatever allocation fails, the answer is the same or -ENOMEM. */
static void test_memory(void **state) {
  (void)state;
  put_both(USER, "provider lab { max_instances = 2 shapes = [\"small\"] }");
  uint64_t n_failed = 0;
  for (uint64_t n = 1;; n++) {
    struct dk_hosts hosts;
    struct dk_error error = {0};
    dk_alloc_fail_once(n);
    int r = dk_hosts_load(at("repo"), &hosts, &error);
    bool is_over = dk_alloc_count() < n;
    dk_alloc_fail_at(0);
    if (r == 0)
      assert_true(hosts.n == 0 && hosts.n_clouds == 1 && hosts.clouds[0].n_shapes == 1);
    else if (r != -ENOMEM)
      fail_msg("allocation %llu: %d %s", (unsigned long long)n, r, error.text);
    n_failed += r < 0;
    dk_hosts_finish(&hosts);
    if (is_over) break;
  }
  assert_true(n_failed > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_declared, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_wrong, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_trusted, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
