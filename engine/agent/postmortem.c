/* See postmortem.h. */
#include "engine/agent/postmortem.h"
#include "engine/agent/undeclared.h"
#include "engine/sys/fs.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS 4096u            /* bytes of each stream that are looked at */
#define FULL_DISK (256u << 10) /* bytes that must find room: less counts as full */

/* Rules. */

static const char *job_env(const struct dk_job *job, const char *name) {
  for (uint32_t i = 0; i < job->n_env; i++) {
    if (strcmp(job->env[i].name, name) == 0) return job->env[i].value;
  }
  return NULL;
}

/* `agent` gets the agent's folder: the slot's is AGENT/slots/N. */
static int make_rules(const struct dk_slot *slot, const struct dk_job *job, struct dk_buf *agent,
                      struct dk_sandbox_rules *ret) {
  const char *end = strrchr(slot->path, '/');
  while (end && end > slot->path && end[-1] != '/') end--;
  if (end && end > slot->path) dk_buf_add(agent, slot->path, (size_t)(end - 1 - slot->path));
  if (!dk_buf_ok(agent)) return -ENOMEM;
  *ret = (struct dk_sandbox_rules){.repository = job->repository,
                                   .fences = {agent->len ? agent->data : NULL, *job->objects ? job->objects : NULL},
                                   .own = slot->path,
                                   .open = job->open,
                                   .n_open = job->n_open,
                                   .path = job_env(job, "PATH"),
                                   .home = job_env(job, "HOME")};
  return 0;
}

int dk_postmortem_sandbox(struct dk_slot *slot, const struct dk_job *job, struct dk_error *error) {
  struct dk_sandbox_rules rules;
  dk_autobuf agent = DK_BUF_INIT;
  int r = make_rules(slot, job, &agent, &rules);
  return r < 0 ? dk_error_set(error, r, "no memory to start a task") : dk_sandbox_make(&slot->sandbox, &rules, error);
}

/* Words. */

/* The end of a stream, in whole lines where it is cut. */
static size_t read_end(const struct dk_log *log, char *ret) {
  struct stat st;
  if (log->fd < 0 || fstat(log->fd, &st) < 0) return 0;
  uint64_t size = (uint64_t)st.st_size, len = size < WORDS ? size : WORDS;
  return dk_fs_pread_all(log->fd, ret, len, size - len) == 0 ? len : 0;
}

static void set_text(struct dk_task *task, const char *text) {
  dk_free(task->result.text);
  task->result.text = dk_strdup(text); /* without memory: no words */
}

/* By writing: free space says nothing of a quota. */
static bool is_full(const struct dk_task *task) {
  int fd = openat(task->slot->dir, "probe", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return dk_error_is_full(-errno);
  bool is_so = fallocate(fd, 0, 0, FULL_DISK) < 0 && dk_error_is_full(-errno);
  close(fd);
  unlinkat(task->slot->dir, "probe", 0);
  return is_so;
}

static bool has_words(const char *words, size_t len, const char *text) {
  return memmem(words, len, text, strlen(text)) != NULL;
}

/* strerror(3)'s texts: a task's locale is C.UTF-8. */
static const char *full_words(const char *words, size_t len) {
  static const char *const texts[] = {"No space left on device", "Disk quota exceeded"};
  for (size_t i = 0; i < 2; i++) {
    if (has_words(words, len, texts[i])) return texts[i];
  }
  return NULL;
}

static bool explain_words(struct dk_task *task, const struct dk_undeclared *where, const char *words, size_t len) {
  const char *full = full_words(words, len);
  dk_autobuf text = DK_BUF_INIT;
  if (full) {
    dk_buf_printf(&text, "its last words have `%s`", full);
    task->result.cause = DK_CAUSE_DISK;
  } else if (where && where->sandbox->ruleset >= 0 && has_words(words, len, "no new privileges")) {
    dk_buf_add_text(&text, "a task cannot become another user (sudo)\nhelp: `needs = { sandbox = false }` lets it");
  } else if (where && where->sandbox->ruleset >= 0 && has_words(words, len, "not a git repository")) {
    dk_buf_add_text(
        &text, "a task does not see the repository's .git\nhelp: give it what it needs as a parameter (dkrun run -p "
               "commit=...); `needs = { sandbox = false }` lets it look");
  } else if (where) {
    dk_undeclared_find(where, words, len, &text);
  }
  if (text.len > 0 && dk_buf_ok(&text)) set_text(task, text.data);
  return text.len > 0;
}

/* A program that was found but may not be read has written nothing: the error that names it is all there is. */
static size_t last_words(const struct dk_task *task, unsigned i, char *ret) {
  if (task->result.cause == DK_CAUSE_EXIT) return read_end(i == 0 ? &task->err : &task->out, ret);
  if (i > 0 || !task->result.text) return 0;
  size_t len = strnlen(task->result.text, WORDS);
  memcpy(ret, task->result.text, len);
  return len;
}

void dk_postmortem(struct dk_task *task) {
  const struct dk_job *job = &task->job;
  if (task->result.cause == DK_CAUSE_EXIT && is_full(task)) {
    task->result.cause = DK_CAUSE_DISK;
    set_text(task, task->job.is_remote ? "the disk where the agent keeps its files is full"
                                       : "the disk of the state folder is full");
    return;
  }
  struct dk_sandbox_rules rules;
  dk_autobuf agent = DK_BUF_INIT, work = DK_BUF_INIT;
  dk_buf_printf(&work, "%s/work", task->slot->path);
  bool has_rules = job->repository && job->folder && make_rules(task->slot, job, &agent, &rules) == 0;
  struct dk_undeclared where = {&task->slot->sandbox, &rules, job->folder, dk_buf_text(&work)};
  char words[WORDS];
  for (unsigned i = 0; i < 2; i++) {
    size_t len = last_words(task, i, words);
    if (len > 0 && dk_buf_ok(&work) && explain_words(task, has_rules ? &where : NULL, words, len)) return;
  }
}
