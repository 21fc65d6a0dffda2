/* libgit2 started, its errors as ours, and several object databases behind one. */
#include "engine/source/git.h"
#include "lang/base/alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <git2/sys/alloc.h>
#include <git2/sys/mempack.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/repository.h>

/* libgit2 does not survive a lack of memory (1.5: telling of it needs memory and recurses for ever; an init that failed
 * half way, and much of its reading of configurations, crash). So the process ends here, with words; whatever it was,
 * it may die at any moment. */
#define EXIT_SYSTEM 4 /* enum dk_exit of the CLI */

static void *need(void *memory) {
  static const char words[] = "dkrun: out of memory while working with the git repository\n";
  if (memory) return memory;
  (void)!write(STDERR_FILENO, words, sizeof words - 1);
  _exit(EXIT_SYSTEM);
}

static void *git_alloc(size_t size, const char *file, int line) {
  (void)file, (void)line;
  return need(dk_alloc(size));
}

static void *git_realloc(void *old, size_t size, const char *file, int line) {
  (void)file, (void)line;
  return need(dk_realloc_array(old, size, 1));
}

static void git_release(void *memory) {
  dk_free(memory);
}

#if LIBGIT2_VER_MAJOR == 1 && LIBGIT2_VER_MINOR < 6 /* later ones make these of the three above */
static void *git_alloc_zeroed(size_t n, size_t size, const char *file, int line) {
  (void)file, (void)line;
  return need(dk_calloc(n, size));
}

static char *git_copy_exactly(const char *text, size_t len, const char *file, int line) {
  (void)file, (void)line;
  return need(dk_strndup(text, len));
}

static char *git_copy(const char *text, const char *file, int line) {
  (void)file, (void)line;
  return need(dk_strdup(text));
}

static char *git_copy_at_most(const char *text, size_t len, const char *file, int line) {
  return git_copy_exactly(text, strnlen(text, len), file, line);
}

static void *git_realloc_array(void *old, size_t n, size_t size, const char *file, int line) {
  (void)file, (void)line;
  return need(dk_realloc_array(old, n, size));
}

static void *git_alloc_array(size_t n, size_t size, const char *file, int line) {
  return git_realloc_array(NULL, n, size, file, line);
}
#endif

static git_allocator allocator = {
    .gmalloc = git_alloc,
    .grealloc = git_realloc,
    .gfree = git_release,
#if LIBGIT2_VER_MAJOR == 1 && LIBGIT2_VER_MINOR < 6
    .gcalloc = git_alloc_zeroed,
    .gstrdup = git_copy,
    .gstrndup = git_copy_at_most,
    .gsubstrdup = git_copy_exactly,
    .greallocarray = git_realloc_array,
    .gmallocarray = git_alloc_array,
#endif
};

int dk_git_start(struct dk_error *error) {
  /* What these change is how a repository is checked out or fetched; reading one works all the same. */
  static const char *extensions[] = {"worktreeconfig", "partialclone", "preciousobjects"};
  git_libgit2_opts(GIT_OPT_SET_ALLOCATOR, &allocator); /* again and again the same */
  int n = git_libgit2_init();
  if (n < 0) return dk_git_fail(n, error, "starting libgit2");
  if (n > 1) return 0;
  /* Another owner's repository is no danger here: no hook or filter program of it is ever run. Otherwise a folder
   * mounted into a container, or sudo, would fail (git's safe.directory). */
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
  git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions, sizeof extensions / sizeof *extensions);
  return 0;
}

void dk_git_stop(void) {
  git_libgit2_shutdown();
}

static int code_of(int rc, const git_error *last) {
  switch (rc) {
  case GIT_ENOTFOUND: return -ENOENT;
  case GIT_EEXISTS: return -EEXIST;
  case GIT_ELOCKED: return -EBUSY;
  case GIT_EUNBORNBRANCH: return -ENODATA;
  case GIT_EBAREREPO: return -ENOTSUP;
  case GIT_EMISMATCH: return -EBADMSG;
  default: break;
  }
  if (last && last->klass == GIT_ERROR_NOMEMORY) return -ENOMEM;
  /* libgit2 keeps the system's words, not its number. */
  if (last && strstr(last->message, strerror(ENOSPC))) return -ENOSPC;
  if (last && strstr(last->message, strerror(EACCES))) return -EACCES;
  return -EIO;
}

int dk_git_fail(int rc, struct dk_error *error, const char *format, ...) {
  const git_error *last = git_error_last();
  int code = code_of(rc, last);
  char what[512];
  va_list ap;
  va_start(ap, format);
  vsnprintf(what, sizeof what, format, ap);
  va_end(ap);
  return dk_error_set(error, code, "%s: %s", what, last && last->message ? last->message : "unknown error of libgit2");
}

/* A backend that asks another database. Not libgit2's own "alternate": that one does not follow the alternates of the
 * other, and a write of an object that is there already would touch the user's files to freshen them. */
struct window {
  git_odb_backend base;
  git_odb *other;
  unsigned lookup; /* flags */
};

static int window_read(void **ret, size_t *ret_len, git_object_t *ret_type, git_odb_backend *backend,
                       const git_oid *id) {
  struct window *window = (struct window *)backend;
  git_odb_object *object;
  if (window->lookup && !git_odb_exists_ext(window->other, id, window->lookup)) return GIT_ENOTFOUND;
  int rc = git_odb_read(&object, window->other, id);
  if (rc) return rc;
  size_t len = git_odb_object_size(object);
  void *data = git_odb_backend_data_alloc(backend, len + 1);
  if (data) {
    memcpy(data, git_odb_object_data(object), len);
    ((char *)data)[len] = '\0';
    *ret = data;
    *ret_len = len;
    *ret_type = git_odb_object_type(object);
  }
  git_odb_object_free(object);
  return data ? 0 : GIT_ERROR;
}

static int window_read_header(size_t *ret_len, git_object_t *ret_type, git_odb_backend *backend, const git_oid *id) {
  struct window *window = (struct window *)backend;
  if (window->lookup && !git_odb_exists_ext(window->other, id, window->lookup)) return GIT_ENOTFOUND;
  return git_odb_read_header(ret_len, ret_type, window->other, id);
}

static int window_exists(git_odb_backend *backend, const git_oid *id) {
  struct window *window = (struct window *)backend;
  return git_odb_exists_ext(window->other, id, window->lookup);
}

static void window_free(git_odb_backend *backend) {
  dk_free(backend);
}

static int add_window(git_odb *all, git_odb *other, unsigned lookup, int priority) {
  struct window *window = dk_calloc(1, sizeof *window);
  if (!window) return GIT_ERROR;
  git_odb_init_backend(&window->base, GIT_ODB_BACKEND_VERSION);
  window->base.read = window_read;
  window->base.read_header = window_read_header;
  window->base.exists = window_exists;
  window->base.free = window_free;
  window->other = other;
  window->lookup = lookup;
  int rc = git_odb_add_backend(all, &window->base, priority);
  if (rc) dk_free(window);
  return rc;
}

static int add_memory(git_odb *all) {
  git_odb_backend *memory;
  int rc = git_mempack_new(&memory);
  if (rc) return rc;
  rc = git_odb_add_backend(all, memory, 30);
  if (rc) memory->free(memory);
  return rc;
}

int dk_odb_open(struct dk_odb *odb, git_repository *user, git_repository *own, struct dk_error *error) {
  git_config *config = NULL;
  memset(odb, 0, sizeof *odb);
  int rc = git_repository_odb(&odb->user, user);
  if (rc == 0 && own) rc = git_repository_odb(&odb->own, own);
  if (rc == 0) rc = git_odb_new(&odb->all);
  if (rc == 0) rc = add_memory(odb->all);
  /* Own first: it is small. What is not there is the usual case, and no reason to look for new packs. */
  if (rc == 0 && odb->own) rc = add_window(odb->all, odb->own, GIT_ODB_LOOKUP_NO_REFRESH, 20);
  if (rc == 0) rc = add_window(odb->all, odb->user, 0, 10);
  if (rc == 0) rc = git_repository_wrap_odb(&odb->view, odb->all);
  /* The view is no repository on disk: without this, libgit2 would look for the user's configuration. */
  if (rc == 0) rc = own ? git_repository_config_snapshot(&config, own) : git_config_new(&config);
  if (rc == 0) rc = git_repository_set_config(odb->view, config);
  git_config_free(config);
  if (rc == 0) return 0;
  int code = dk_git_fail(rc, error, "opening the objects of %s", git_repository_path(user));
  dk_odb_close(odb);
  return code;
}

void dk_odb_close(struct dk_odb *odb) {
  git_repository_free(odb->view);
  git_odb_free(odb->all);
  git_odb_free(odb->own);
  git_odb_free(odb->user);
  memset(odb, 0, sizeof *odb);
}
