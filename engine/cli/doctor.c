/* dkrun doctor: what this machine gives, what is enforced, and what keeps dkrun from running. It tries things where
 * that leaves nothing behind; the probes are in engine/sys/probe.h and in the rooms of what is probed. */
#include "engine/agent/sandbox.h"
#include "engine/cli/cli.h"
#include "engine/cli/session.h"
#include "engine/drive/hosts.h"
#include "engine/report/json.h"
#include "engine/source/repo.h"
#include "engine/sys/cgroup.h"
#include "engine/sys/fs.h"
#include "engine/sys/probe.h"
#include "engine/sys/proc.h"
#include "engine/sys/spawn.h"
#include "lang/base/alloc.h"
#include "lang/base/number.h"
#include "lang/base/version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define DISK_LEAST (1ull << 30)
#define DISK_NONE (32ull << 20) /* a run keeps half of this aside, and needs some for itself */
#define FILES_LEAST 1024u

enum state { STATE_OK, STATE_NOT_ENFORCED, STATE_PROBLEM, STATE_STOPS };

struct doctor {
  struct dk_cli *cli;
  const char *place; /* where the state folder is or would be: it, else the repository, else this directory */
  bool json;
  uint32_t n_checks, n_stops;
  struct dk_buf out;
};

/* `help` may be NULL or empty. */
static void tell(struct doctor *d, enum state state, const char *name, const char *text, const char *help) {
  static const char *const words[] = {"ok", "not enforced", "problem", "problem"};
  bool stops = state == STATE_STOPS;
  d->n_stops += stops;
  if (d->json) {
    dk_buf_printf(&d->out, "%s{\"check\":\"%s\",\"state\":\"%s\",\"stops\":%s,\"text\":", d->n_checks ? "," : "", name,
                  words[state], stops ? "true" : "false");
    dk_json_add_string(&d->out, text, strlen(text));
    dk_buf_add_text(&d->out, ",\"help\":");
    dk_json_add_string(&d->out, help ? help : "", help ? strlen(help) : 0);
    dk_buf_add_char(&d->out, '}');
  } else {
    dk_buf_printf(&d->out, "%-12s  %-11s  ", words[state], name);
    dk_buf_add_escaped(&d->out, text, strlen(text));
    dk_buf_add_char(&d->out, '\n');
    if (help && *help) {
      dk_buf_printf(&d->out, "%27shelp: ", "");
      dk_buf_add_escaped(&d->out, help, strlen(help));
      dk_buf_add_char(&d->out, '\n');
    }
  }
  d->n_checks++;
}

/* An error's words; its first line of help becomes the check's. */
static void tell_error(struct doctor *d, enum state state, const char *name, struct dk_error *error) {
  char *line = strchr(error->text, '\n');
  const char *help = NULL;
  if (line) {
    *line++ = '\0';
    line[strcspn(line, "\n")] = '\0';
    help = strncmp(line, "help: ", 6) == 0 ? line + 6 : line;
  }
  tell(d, state, name, error->text, help);
}

/* The repository and what is in its state folder. */

static void check_git(struct doctor *d) {
  struct dk_error error = {0};
  struct dk_repo *repo = NULL;
  dk_autobuf text = DK_BUF_INIT;
  if (dk_cli_find_root(d->cli, &error) < 0 || dk_repo_open(d->cli->root, &repo, &error) < 0) {
    tell_error(d, STATE_STOPS, "git", &error);
    return;
  }
  const char *branch = dk_repo_branch(repo);
  dk_buf_printf(&text, "%s at %.12s (%s)", dk_repo_root(repo), dk_repo_head(repo), branch ? branch : "no branch");
  tell(d, STATE_OK, "git", dk_buf_text(&text), NULL);
  dk_repo_close(repo);
}

static void check_store(struct doctor *d) {
  struct dk_error error = {0};
  struct dk_store *store = NULL;
  dk_autobuf path = DK_BUF_INIT, text = DK_BUF_INIT;
  char type[64];
  struct stat st;
  dk_buf_printf(&path, "%s/store", d->cli->state ? d->cli->state : d->place);
  const char *place = stat(dk_buf_text(&path), &st) == 0 ? dk_buf_text(&path) : d->place;
  if (dk_place_check(place, &error) < 0) {
    tell_error(d, STATE_STOPS, "store", &error);
    return;
  }
  int r = d->cli->root ? dk_cli_open_store(d->cli, &store, NULL, &error) : -ENOENT;
  if (r < 0 && r != -ENOENT) {
    tell_error(d, STATE_STOPS, "store", &error);
    return;
  }
  dk_buf_printf(&text, "on %s, no network file system; %s",
                dk_place_type(place, type, sizeof type) ? type : "a local disk",
                store ? "it can be read" : "nothing was run here yet");
  tell(d, STATE_OK, "store", dk_buf_text(&text), NULL);
  dk_store_close(store);
}

static void check_disk(struct doctor *d) {
  struct statvfs fs;
  char size[DK_NUMBER_TEXT];
  dk_autobuf text = DK_BUF_INIT;
  if (statvfs(d->place, &fs) < 0) {
    dk_buf_printf(&text, "looking at %s: %s", d->place, strerror(errno));
    tell(d, STATE_PROBLEM, "disk", dk_buf_text(&text), NULL);
    return;
  }
  uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
  bool has_files = fs.f_files == 0 || fs.f_favail > 1000; /* btrfs has no such number */
  dk_number_size_text(free_bytes, size);
  dk_buf_printf(&text, "%s free for .dkrun", size);
  if (!has_files) dk_buf_printf(&text, ", and room for %llu files only", (unsigned long long)fs.f_favail);
  bool is_fine = free_bytes >= DISK_LEAST && has_files;
  bool stops = free_bytes < DISK_NONE || (fs.f_files > 0 && fs.f_favail == 0);
  tell(d,
       is_fine ? STATE_OK
       : stops ? STATE_STOPS
               : STATE_PROBLEM,
       "disk", dk_buf_text(&text), is_fine ? NULL : "make room, or put the repository on another disk");
}

static void check_reflink(struct doctor *d) {
  struct dk_error error = {0};
  int r = dk_probe_reflink(d->place, &error);
  if (r == -EOPNOTSUPP)
    tell(d, STATE_OK, "reflink", "cannot be tried on this file system", NULL);
  else if (r < 0)
    tell_error(d, r == -ENOSPC || r == -EDQUOT || r == -EACCES || r == -EROFS ? STATE_STOPS : STATE_PROBLEM, "reflink",
               &error);
  else
    tell(d, STATE_OK, "reflink", r ? "yes: copies cost no space" : "no: large inputs are linked or copied", NULL);
}

static void check_lock(struct doctor *d, const char *name, const char *file, const char *none) {
  dk_autobuf path = DK_BUF_INIT, text = DK_BUF_INIT;
  uint32_t pid = 0;
  if (!d->cli->state) return;
  dk_buf_printf(&path, "%s/%s", d->cli->state, file);
  if (dk_buf_ok(&path) && dk_cli_is_locked(dk_buf_text(&path), &pid)) {
    dk_buf_printf(&text, "works here: process %u", pid);
    tell(d, STATE_OK, name, dk_buf_text(&text), NULL);
  } else {
    tell(d, STATE_OK, name, none, NULL);
  }
}

/* The agent's program. */

/* The first line of what it says of itself on that descriptor. */
static int ask_version(const char *program, const char *flag, int number, struct dk_buf *ret, struct dk_error *error) {
  char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)flag, NULL};
  char words[200] = "";
  int fd = memfd_create("version", MFD_CLOEXEC);
  if (fd < 0) return dk_error_system(error, -errno, "asking %s for its version", program);
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  how.fds[number] = fd;
  int r = dk_spawn_wait(&how, error);
  if (r >= 0) (void)!pread(fd, words, sizeof words - 1, 0);
  close(fd);
  if (r < 0) return r;
  if (r > 0) return dk_error_set(error, -EIO, "%s %s ended with exit code %d", program, flag, r);
  dk_buf_add(ret, words, strcspn(words, "\n"));
  return dk_buf_ok(ret) ? 0 : dk_error_system(error, -ENOMEM, "asking %s for its version", program);
}

static void check_program(struct doctor *d) {
  struct dk_error error = {0};
  dk_autobuf version = DK_BUF_INIT, text = DK_BUF_INIT;
  dk_autofree char *program = dk_session_agent_program(&error);
  if (!program || ask_version(program, "--version", STDOUT_FILENO, &version, &error) < 0) {
    tell_error(d, STATE_STOPS, "program", &error);
    return;
  }
  bool is_same = strcmp(dk_buf_text(&version), "dkagent " DK_VERSION) == 0;
  dk_buf_printf(&text, "%s, %s: %s", dk_buf_text(&version),
                dk_probe_is_static(program) ? "static" : "not static, for this machine only", program);
  tell(d, is_same ? STATE_OK : STATE_PROBLEM, "program", dk_buf_text(&text),
       is_same ? NULL : "it belongs to another version of dkrun than " DK_VERSION ": install both together");
}

/* Hosts. */

static void check_ssh(struct doctor *d) {
  struct dk_error error = {0};
  struct dk_hosts hosts;
  dk_autobuf text = DK_BUF_INIT;
  const char *ssh = getenv("DKRUN_SSH");
  uint32_t n = 0;
  if (dk_hosts_load(d->cli->root, &hosts, &error) < 0) {
    tell_error(d, STATE_STOPS, "ssh", &error);
    dk_hosts_finish(&hosts);
    return;
  }
  for (uint32_t i = 0; i < hosts.n; i++) n += hosts.items[i].provider->is_remote;
  bool has_local = n < hosts.n;
  uint32_t n_clouds = hosts.n_clouds; /* their machines are reached in the same way */
  dk_hosts_finish(&hosts);
  if (ask_version(ssh && *ssh ? ssh : "ssh", "-V", STDERR_FILENO, &text, &error) < 0) {
    /* Without other hosts nobody misses it; without this machine nothing can run. */
    if (n + n_clouds > 0)
      tell_error(d, has_local ? STATE_PROBLEM : STATE_STOPS, "ssh", &error);
    else
      tell(d, STATE_OK, "ssh", "not there; no other host is configured, so nothing needs it", NULL);
    return;
  }
  dk_buf_printf(&text, "; other hosts configured: %u", n);
  if (n_clouds) dk_buf_printf(&text, ", clouds: %u", n_clouds);
  tell(d, STATE_OK, "ssh", dk_buf_text(&text), n + n_clouds ? "whether they can be used: dkrun providers check" : NULL);
}

/* Limits on tasks. */

/* A file of the repository that no task declares. */
static int closed_file(const struct doctor *d, struct dk_buf *ret) {
  struct stat st;
  dk_buf_printf(ret, "%s/.git/HEAD", d->cli->root);
  if (dk_buf_ok(ret) && stat(ret->data, &st) < 0) {
    dk_buf_clear(ret);
    dk_buf_printf(ret, "%s/.git", d->cli->root); /* of a linked work tree */
  }
  return dk_buf_ok(ret) ? 0 : -ENOMEM;
}

/* As a task would: may a shell under the rules read that file? 1 it may, 0 it may not, or a negative errno. */
static int try_reading(const struct doctor *d, int ruleset, struct dk_error *error) {
  dk_autobuf file = DK_BUF_INIT;
  if (closed_file(d, &file) < 0) return dk_error_system(error, -ENOMEM, "trying the sandbox");
  char *argv[] = {(char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t) "{ exec <\"$0\"; } 2>&-",
                  file.data, NULL};
  struct dk_spawn how = DK_SPAWN_INIT;
  how.argv = argv;
  how.landlock = ruleset;
  int r = dk_spawn_wait(&how, error);
  return r < 0 ? r : r == 0;
}

static void check_reading(struct doctor *d) {
  struct dk_error error = {0};
  struct dk_sandbox sandbox;
  dk_autobuf agent = DK_BUF_INIT, slot = DK_BUF_INIT, text = DK_BUF_INIT;
  if (!d->cli->root) return;
  dk_buf_printf(&agent, "%s/agent", d->cli->state);
  dk_buf_printf(&slot, "%s/agent/slots/0", d->cli->state);
  const struct dk_sandbox_rules rules = {.repository = d->cli->root,
                                         .fences = {dk_buf_text(&agent), NULL},
                                         .own = dk_buf_text(&slot),
                                         .path = getenv("PATH"),
                                         .home = getenv("HOME"),
                                         .is_probe = true};
  dk_sandbox_init(&sandbox);
  int r = dk_sandbox_make(&sandbox, &rules, &error);
  int abi = dk_sandbox_abi();
  int may_read = r == 0 && sandbox.ruleset >= 0 ? try_reading(d, sandbox.ruleset, &error) : 1;
  if (r < 0 || may_read < 0) {
    tell_error(d, STATE_STOPS, "reading", &error);
  } else if (may_read == 0) {
    dk_buf_printf(&text, "a task can read only what it declares of the repository (Landlock %d, tried)", abi);
    tell(d, STATE_OK, "reading", dk_buf_text(&text), NULL);
  } else {
    dk_buf_printf(&text, "a task can read files of the repository that it does not declare: %s (Landlock %d)",
                  sandbox.off ? sandbox.off : "the kernel let it", abi);
    tell(d, STATE_NOT_ENFORCED, "reading", dk_buf_text(&text),
         "declare all inputs: a result is not made again when an undeclared file changes");
  }
  dk_sandbox_finish(&sandbox);
}

static void check_memory(struct doctor *d) {
  dk_autobuf text = DK_BUF_INIT;
  struct dk_cgroups cgroups;
  dk_cgroups_find(dk_cgroup_asked(), &cgroups);
  dk_cgroups_open(&cgroups, true);
  if (cgroups.version) {
    dk_buf_printf(&text, "`needs { memory }` is enforced by cgroup v%u, in %s", cgroups.version,
                  dk_buf_text(&cgroups.path));
    tell(d, STATE_OK, "memory", dk_buf_text(&text), NULL);
  } else {
    dk_buf_printf(&text, "`needs { memory }` is only watched, 4 to 10 times a second: %s", dk_buf_text(&cgroups.why));
    tell(d, STATE_NOT_ENFORCED, "memory", dk_buf_text(&text),
         "a task over its limit is ended, but may take more for a moment: leave some of the machine's memory free");
  }
  dk_cgroups_finish(&cgroups);
}

/* The machine. */

static void check_machine(struct doctor *d) {
  dk_autobuf text = DK_BUF_INIT, gpus = DK_BUF_INIT;
  char memory[DK_NUMBER_TEXT];
  uint32_t nvidia, amd;
  dk_number_size_text(dk_proc_memory(), memory);
  dk_buf_printf(&text, "%u processors for dkrun, %s of memory", dk_proc_cpus(), memory);
  tell(d, STATE_OK, "machine", dk_buf_text(&text), NULL);
  dk_probe_gpus(&nvidia, &amd);
  dk_buf_printf(&gpus, "%u NVIDIA, %u AMD seen", nvidia, amd);
  tell(d, STATE_OK, "gpus", nvidia || amd ? dk_buf_text(&gpus) : "none seen", NULL);
}

static void add_limit(struct dk_buf *out, rlim_t limit) {
  if (limit == RLIM_INFINITY)
    dk_buf_add_text(out, "any number");
  else
    dk_buf_printf(out, "%llu", (unsigned long long)limit);
}

static void check_files(struct doctor *d) {
  struct rlimit limit = {0};
  dk_autobuf text = DK_BUF_INIT;
  getrlimit(RLIMIT_NOFILE, &limit);
  bool is_fine = limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= FILES_LEAST;
  dk_buf_add_text(&text, "of a task: ");
  add_limit(&text, limit.rlim_cur);
  dk_buf_add_text(&text, "; of dkrun itself: ");
  add_limit(&text, limit.rlim_max);
  tell(d, is_fine ? STATE_OK : STATE_PROBLEM, "open files", dk_buf_text(&text),
       is_fine ? NULL : "raise the hard limit (ulimit -Hn), or run fewer tasks at a time (-j)");
}

static void check_cores(struct doctor *d) {
  struct rlimit limit = {0};
  getrlimit(RLIMIT_CORE, &limit);
  bool is_on = limit.rlim_cur > 0;
  tell(d, STATE_OK, "core dumps", is_on ? "on: a task that crashes may leave its memory on the disk" : "off",
       is_on ? "ulimit -c 0, before dkrun starts its agent, turns them off" : NULL);
}

static void check_clock(struct doctor *d) {
  dk_autobuf text = DK_BUF_INIT;
  struct stat st;
  struct tm tm;
  char now_text[40] = "";
  time_t now = time(NULL);
  if (gmtime_r(&now, &tm)) strftime(now_text, sizeof now_text, "%Y-%m-%d %H:%M:%S UTC", &tm);
  /* A minute: the disk may be another machine's. */
  bool is_behind = stat(d->place, &st) == 0 && st.st_mtime > now + 60;
  dk_buf_printf(&text, "%s, %s", now_text,
                is_behind                 ? "earlier than the last change of the state folder"
                : dk_probe_is_clock_set() ? "kept by the system"
                                          : "not known to be kept by NTP");
  tell(d, is_behind ? STATE_PROBLEM : STATE_OK, "clock", dk_buf_text(&text),
       is_behind ? "set the clock: dates and durations of runs would be wrong" : NULL);
}

static int parse(struct dk_cli *cli, int argc, char **argv, bool *ret_json) {
  static const struct option options[] = {{"format", required_argument, NULL, 'F'}, DK_CLI_OPTIONS, {NULL, 0, NULL, 0}};
  int opt;
  dk_cli_options_reset();
  while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
    int r = -1;
    if (opt != 'F') {
      r = dk_cli_option(cli, opt, argc, argv, options);
    } else {
      *ret_json = strcmp(optarg, "json") == 0;
      if (!*ret_json && strcmp(optarg, "text") != 0)
        r = dk_cli_usage("doctor", "--format takes text or json, not `%s`", optarg);
    }
    if (r >= 0) return r;
  }
  return optind < argc ? dk_cli_usage("doctor", "`%s` is one too many", argv[optind]) : -1;
}

int dk_cmd_doctor(struct dk_cli *cli, int argc, char **argv) {
  struct doctor d = {.cli = cli, .place = ".", .out = DK_BUF_INIT};
  struct stat st;
  int code = parse(cli, argc, argv, &d.json);
  if (code >= 0) return code;
  if (d.json) dk_buf_add_text(&d.out, "{\"version\":1,\"checks\":[");
  check_git(&d);
  if (cli->root) d.place = stat(cli->state, &st) == 0 ? cli->state : cli->root;
  check_store(&d);
  check_disk(&d);
  check_reflink(&d);
  check_program(&d);
  check_ssh(&d);
  check_reading(&d);
  check_memory(&d);
  check_machine(&d);
  check_files(&d);
  check_cores(&d);
  check_clock(&d);
  check_lock(&d, "engine", "lock", "none works here now");
  check_lock(&d, "agent", "agent/lock", "none works here now; it is started when it is needed");
  if (d.json)
    dk_buf_printf(&d.out, "],\"can_run\":%s}\n", d.n_stops ? "false" : "true");
  else
    dk_buf_add_text(&d.out, d.n_stops ? "\ndkrun cannot run here.\n" : "\ndkrun can run here.\n");
  dk_cli_print(cli, &d.out);
  dk_buf_finish(&d.out);
  return d.n_stops ? DK_EXIT_ENGINE : DK_EXIT_OK;
}
