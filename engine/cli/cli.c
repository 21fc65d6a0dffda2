/* The repository, its state folder, and the experiment file; contract in cli.h. */
#include "engine/cli/cli.h"
#include "engine/drive/metric.h"
#include "engine/sys/fs.h"
#include "engine/sys/lock.h"
#include "lang/base/alloc.h"
#include "lang/syntax/parse.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Looks in `at` itself and upwards, shortening it. */
static bool find_above(char *at) {
  for (;;) {
    dk_autobuf git = DK_BUF_INIT;
    dk_buf_printf(&git, "%s/.git", at);
    if (dk_buf_ok(&git) && access(dk_buf_text(&git), F_OK) == 0) {
      return true;
    }
    char *slash = strrchr(at, '/');
    if (!slash || slash == at) {
      return false;
    }
    *slash = '\0';
  }
}

char *dk_cli_root_above(const char *path) {
  char *at = dk_strdup(path);
  char *slash = at ? strrchr(at, '/') : NULL;
  if (slash && slash > at) {
    *slash = '\0';
    if (find_above(at)) {
      return at;
    }
  }
  dk_free(at);
  return NULL;
}

int dk_cli_find_root(struct dk_cli *cli, struct dk_error *error) {
  if (cli->root) {
    return 0;
  }
  dk_autofree char *at = dk_fs_absolute("");
  if (!at) {
    return dk_error_system(error, -errno, "finding the current directory");
  }
  if (!find_above(at)) {
    return dk_error_set(error, -ENOENT,
                        "this is not in a git repository\nhelp: git init, git add and git commit your files first");
  }
  dk_autobuf state = DK_BUF_INIT;
  dk_buf_printf(&state, "%s/.dkrun", at);
  cli->state = dk_buf_steal(&state);
  cli->root = cli->state ? dk_strdup(at) : NULL;
  return cli->root ? 0 : dk_error_system(error, -ENOMEM, "finding the repository");
}

int dk_cli_open_store(struct dk_cli *cli, struct dk_store **ret, struct dk_objects *objects, struct dk_error *error) {
  const struct dk_store_options options = {.read_only = true};
  int r = dk_cli_find_root(cli, error);
  if (r < 0) {
    return r;
  }
  dk_autobuf path = DK_BUF_INIT, objects_path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/store", cli->state);
  dk_buf_printf(&objects_path, "%s/objects", cli->state);
  if (!dk_buf_ok(&path) || !dk_buf_ok(&objects_path)) {
    return dk_error_system(error, -ENOMEM, "opening the store");
  }
  r = dk_store_open(dk_buf_text(&path), &options, ret, error);
  if (r == -ENOENT) {
    return dk_error_set(error, -ENOENT, "nothing was run in this repository yet\nhelp: dkrun run FILE");
  }
  if (r == 0 && objects) {
    r = dk_objects_open(objects, dk_buf_text(&objects_path), false, error);
    if (r < 0) {
      dk_store_close(*ret);
      *ret = NULL;
    }
  }
  return r;
}

/* Taking the lock to see whether it is free could make an engine that starts just now give up, so the kernel's list is
 * asked: lines such as
 * "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF" (proc_locks(5)). Devices are not compared: they differ from stat's
 * on btrfs. */
static bool is_locked_by(const char *path, int pid) {
  struct stat st;
  char line[256];
  bool found = false;
  FILE *locks = fopen("/proc/locks", "re");
  if (!locks) {
    return kill(pid, 0) == 0 || errno == EPERM;
  }
  while (stat(path, &st) == 0 && !found && fgets(line, sizeof line, locks)) {
    int owner;
    unsigned long long inode;
    found = strstr(line, "FLOCK") && sscanf(line, "%*s %*s %*s %*s %d %*x:%*x:%llu", &owner, &inode) == 2 &&
            owner == pid && inode == (unsigned long long)st.st_ino;
  }
  fclose(locks);
  return found;
}

bool dk_cli_is_locked(const char *path, uint32_t *ret_pid) {
  int pid = dk_lock_holder(path);
  *ret_pid = pid > 0 ? (uint32_t)pid : 0;
  return pid > 0 && is_locked_by(path, pid);
}

bool dk_cli_engine_alive(const struct dk_cli *cli, uint32_t *ret_pid) {
  dk_autobuf path = DK_BUF_INIT;
  dk_buf_printf(&path, "%s/lock", cli->state);
  *ret_pid = 0;
  return dk_buf_ok(&path) && dk_cli_is_locked(dk_buf_text(&path), ret_pid);
}

/* Does the file declare a task? What cannot be read or parsed does not count; *failed when that was for want of
 * something that others have taken. */
static bool has_task(const char *path, bool *failed) {
  struct dk_arena arena;
  jmp_buf oom;
  dk_autobuf text = DK_BUF_INIT;
  volatile bool found = false;
  int r = dk_fs_read(path, DK_SOURCE_MAX, &text, NULL);
  if (r < 0) {
    *failed |= dk_error_is_machine(r);
    return false;
  }
  dk_arena_init(&arena, &oom);
  if (setjmp(oom)) {
    *failed = true;
  } else {
    struct dk_sources sources;
    struct dk_diags diags;
    struct dk_strs strs;
    dk_sources_init(&sources, &arena);
    dk_diags_init(&diags, &arena, &sources);
    dk_strs_init(&strs, &arena);
    const struct dk_parse_env env = {&arena, &strs, &diags};
    const struct dk_module *module = dk_parse_file(&env, dk_sources_add(&sources, path, dk_buf_text(&text), text.len));
    for (uint32_t i = 0; i < module->n_decls && !found; i++) {
      found = module->decls[i]->kind == DK_DECL_TASK;
    }
  }
  dk_arena_finish(&arena);
  return found;
}

static int is_dk_file(const struct dirent *entry) {
  size_t len = strlen(entry->d_name);
  return len > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + len - 3, ".dk") == 0 &&
         strcmp(entry->d_name, "providers.dk") != 0;
}

int dk_cli_only_file(char **ret) {
  struct dirent **names = NULL;
  int n = scandir(".", &names, is_dk_file, alphasort);
  *ret = n == 1 ? dk_strdup(names[0]->d_name) : NULL;
  for (int i = 0; i < n; i++) {
    free(names[i]); /* scandir's */
  }
  free(names);
  return *ret ? 0 : -ENOENT;
}

int dk_cli_default_file(struct dk_cli *cli, char **ret) {
  (void)cli;
  struct dirent **names = NULL;
  int n = scandir(".", &names, is_dk_file, alphasort), n_found = 0, code = DK_EXIT_OK;
  dk_autobuf found = DK_BUF_INIT;
  bool has_failed = false;
  *ret = NULL;
  if (n < 0) {
    return dk_cli_failf(DK_EXIT_ENGINE, "reading this directory: %s", strerror(errno));
  }
  for (int i = 0; i < n; i++) {
    /* A lone file is meant even when it cannot be parsed: its errors are what is wanted. */
    if (n == 1 || has_task(names[i]->d_name, &has_failed)) {
      dk_free(*ret);
      *ret = dk_strdup(names[i]->d_name);
      has_failed |= !*ret;
      dk_buf_add_text(&found, n_found++ ? ", " : "");
      dk_buf_add_escaped(&found, names[i]->d_name, strlen(names[i]->d_name));
    }
    free(names[i]); /* scandir's */
  }
  free(names);
  if (n_found == 1 && *ret && !has_failed) {
    return DK_EXIT_OK;
  }
  code = has_failed ? DK_EXIT_ENGINE : DK_EXIT_USAGE;
  if (has_failed) {
    dk_cli_failf(
        code,
        "the *.dk files here cannot be looked at: out of memory or descriptors\nhelp: name the experiment's file");
  } else if (n_found > 1) {
    dk_cli_failf(DK_EXIT_USAGE, "which file? Several here have tasks: %s\nhelp: name one of them", dk_buf_text(&found));
  } else if (n > 0) {
    dk_cli_failf(DK_EXIT_USAGE, "no *.dk file here has a task\nhelp: name the experiment's file");
  } else if (n_found == 0) {
    dk_cli_failf(DK_EXIT_USAGE, "there is no *.dk file here\nhelp: name the experiment's file, or go to its directory");
  }
  dk_free(*ret);
  *ret = NULL;
  return code;
}

void dk_cli_diagnostics(struct dk_cli *cli, const struct dk_diags *diags) {
  dk_autobuf text = DK_BUF_INIT;
  if (!diags->count) {
    return;
  }
  dk_diags_render(diags, dk_cli_color(cli, STDERR_FILENO), &text);
  if (!dk_buf_ok(&text)) {
    dk_cli_failf(DK_EXIT_ENGINE, "out of memory");
    return;
  }
  if (dk_fs_write_all(STDERR_FILENO, dk_buf_text(&text), text.len) < 0) {
    cli->out_error = cli->out_error ? cli->out_error : -EIO;
  }
}

/* With root NULL the file's own directory is the limit for imports. */
int dk_cli_load_quiet(struct dk_cli *cli, const char *file, const struct dk_cli_params *params, struct dk_load **ret) {
  struct dk_error error = {0};
  dk_autofree char *found = NULL;
  if (!file) {
    int code = dk_cli_default_file(cli, &found);
    if (code != DK_EXIT_OK) {
      return code;
    }
    file = found;
  }
  dk_cli_find_root(cli, NULL);
  const struct dk_load_options options = {.given = params ? params->items : NULL,
                                          .n_given = params ? params->n : 0,
                                          .check_pattern = dk_metric_check_pattern,
                                          .root = cli->root};
  if (dk_load(file, &options, ret, &error) < 0) {
    return dk_cli_fail(DK_EXIT_ENGINE, &error);
  }
  return DK_EXIT_OK;
}

int dk_cli_load(struct dk_cli *cli, const char *file, const struct dk_cli_params *params, struct dk_load **ret) {
  int code = dk_cli_load_quiet(cli, file, params, ret);
  if (code != DK_EXIT_OK) {
    return code;
  }
  dk_cli_diagnostics(cli, dk_load_diags(*ret));
  if (!dk_load_plan(*ret)) {
    dk_load_destroy(*ret);
    *ret = NULL;
    return DK_EXIT_FILE;
  }
  return DK_EXIT_OK;
}
