/* A shim between a program and the system's calls, that makes the Nth call of some of them fail.
 *
 * For whole programs: LD_PRELOAD=libdk_shim.so DK_SHIM="fdatasync EIO 2", or DK_SHIM_PLAN=FILE, a file that holds a
 * struct dk_shim_plan: it is mapped by every process that has the variable, so calls are counted over all of them, and
 * who has the file can arm and disarm while they run. Under ASan also ASAN_OPTIONS=verify_asan_link_order=0.
 * For a unit test: link dk_shim_object and set ENABLE_EXPORTS, so that libraries' calls find it too; arm it with
 * dk_shim_arm.
 *
 * Calls: write writev pwrite copy_file_range fsync fdatasync syncfs rename renameat link linkat mkdir mkdirat ftruncate
 * fallocate mmap (of a file, shared) mremap open (also openat and openat2) read pread socket accept pipe dup fork, and
 * alloc (malloc, calloc, realloc; not in dk_shim_object). Where there is a second name for large files, it is the same
 * call. A write that fails with ENOSPC writes half first when it has two bytes or more, as a full disk does. Calls on
 * descriptors 0, 1 and 2 are left alone and not counted. */
#ifndef DK_TEST_SHIM_H
#define DK_TEST_SHIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct dk_shim_plan {
  char calls[64]; /* names with commas between */
  char who[16];   /* only processes with this as their first argument ("serve"); empty: all */
  int error;
  bool and_after;      /* all that follow fail too */
  _Atomic uint32_t at; /* 1 is the first one; 0: nothing fails and nothing is counted */
  _Atomic uint32_t count, failed;
  _Atomic uint32_t
      /* processes that ended by SIGSEGV, SIGBUS, SIGABRT, SIGFPE or SIGILL; a sanitizer's report is not seen */
      crashed;
};

/* "CALLS ERROR N": the Nth call from now fails; "CALLS ERROR N+": so do all that follow. NULL: nothing fails.
 * ERROR is EIO, ENOSPC, EDQUOT, EROFS, EINTR, ENOMEM, EMFILE, EACCES or EAGAIN. -1 when it cannot be understood. */
int dk_shim_parse(const char *spec, struct dk_shim_plan *ret);
int dk_shim_arm(const char *spec);
/* How often the armed calls were made since. */
unsigned dk_shim_count(void);

#endif
