/* The terminal: size, colours, and a mode without echo for live views that is undone whatever happens. */
#ifndef DK_CLI_TERM_H
#define DK_CLI_TERM_H

#include <stdbool.h>
#include <stdint.h>

/* Columns and lines of the terminal behind fd; 80 x 24 where that cannot be known. COLUMNS and LINES are not looked at:
 * a shell does not export them, and a stale value breaks the frame. */
void dk_term_size(int fd, uint32_t *ret_width, uint32_t *ret_height);
/* A terminal that can move the cursor (TERM is set and not "dumb"). */
bool dk_term_can_draw(int fd);

/* Puts the terminal `in` into the mode for keys (no echo, no line mode, signals as before) and hides the cursor on
 * `out`. Undone by dk_term_leave, by fatal signals (which then do what they do), and around ^Z. One at a time; 0 or a
 * negative errno (then nothing was changed). */
int dk_term_enter(int in, int out);
void dk_term_leave(void); /* fine when not entered; async-signal-safe */
/* True once after the program was continued or the window changed: the frame has to be drawn anew. */
bool dk_term_take_redraw(void);

#endif
