/* A shim between a program and the system's calls, that makes the Nth call of one of them fail.
 *
 * For whole programs: LD_PRELOAD=libdk_shim.so DK_SHIM="fdatasync EIO 2" (under ASan also ASAN_OPTIONS=verify_asan_link_order=0).
 * For a unit test: link dk_shim_object and set ENABLE_EXPORTS, so that libraries' calls find it too; arm it with dk_shim_arm.
 *
 * Calls: write writev pwrite fsync fdatasync syncfs rename link ftruncate fallocate. A write that fails with ENOSPC writes half first
 * when it has two bytes or more, as a full disk does. Calls on descriptors 0, 1 and 2 are left alone and not counted. */
#ifndef DK_TEST_SHIM_H
#define DK_TEST_SHIM_H

/* "CALL ERROR N": the Nth call from now fails (1 is the next); "CALL ERROR N+": so do all that follow. NULL: nothing fails.
 * ERROR is EIO, ENOSPC, EDQUOT, EROFS or EINTR. -1 when it cannot be understood. */
int dk_shim_arm(const char *spec);
/* How often the armed call was made since. */
unsigned dk_shim_count(void);

#endif
