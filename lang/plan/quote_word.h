/* Words of simple commands, as far as it matters for holes: which command parses its words again. Private to
 * quote.c. */
#ifndef DK_PLAN_QUOTE_WORD_H
#define DK_PLAN_QUOTE_WORD_H

#include "lang/plan/quote.h"

/* A character of the word; '\0' stands for something that is not known here (a quote, an expansion). */
void dk_word_char(struct dk_quote_frame *frame, char c);
void dk_word_end(struct dk_quote_state *state, struct dk_quote_frame *frame);
void dk_word_command_end(struct dk_quote_frame *frame);
/* A hole in the word: adds a warning where the word is parsed again. */
void dk_word_hole(struct dk_quote_state *state, struct dk_quote_frame *frame, uint32_t hole);
/* The word so far is `name[` at a command's place: an assignment's subscript, which bash evaluates. */
bool dk_word_is_subscript(const struct dk_quote_frame *frame);

#endif
