/* The one event loop of engine and agent: poll(2), few descriptors, timers, signals. Single-threaded. */
#ifndef DK_SYS_LOOP_H
#define DK_SYS_LOOP_H

#include "lang/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct dk_loop;

/* CLOCK_BOOTTIME in nanoseconds: goes on while the machine sleeps, never jumps with the wall clock. */
uint64_t dk_now_ns(void);
uint64_t dk_unix_ns(void); /* wall clock, for display only */

typedef void dk_loop_fd_fn(void *ctx, int fd, short revents);
typedef void dk_loop_signal_fn(void *ctx, int signal);

int dk_loop_create(struct dk_loop **ret, struct dk_error *error);
void dk_loop_destroy(struct dk_loop *loop);
/* Watches fd for `events` (POLLIN, POLLOUT); a second call changes the events. The loop does not own fd. */
int dk_loop_watch(struct dk_loop *loop, int fd, short events, dk_loop_fd_fn *fn, void *ctx);
void dk_loop_unwatch(struct dk_loop *loop, int fd); /* also from inside a callback */
/* Delivers a signal in the loop (blocks its default action). */
int dk_loop_signal(struct dk_loop *loop, int signal, dk_loop_signal_fn *fn, void *ctx);
/* Waits for at most until `deadline_ns` (dk_now_ns scale; UINT64_MAX: no limit) and calls what is ready.
 * 1: something was called, 0: deadline, negative errno. */
int dk_loop_once(struct dk_loop *loop, uint64_t deadline_ns);

#endif
