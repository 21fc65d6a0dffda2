/* What one parse knows: shared by the grammar, the constructors, the error reports and the recovery. Internal to
 * syntax. */
#ifndef DK_SYNTAX_PARSE_STATE_H
#define DK_SYNTAX_PARSE_STATE_H

#include "lang/syntax/token.h"

#define DK_NO_TOKEN UINT32_MAX

struct dk_parse {
  const struct dk_parse_env *env;
  struct dk_arena *arena;
  struct dk_tokens tokens;
  struct dk_module *module; /* what a file gives */
  struct dk_expr *expr;     /* what an expression gives */

  int start;       /* TOK_START_FILE or TOK_START_EXPR until it was handed out, then 0 */
  uint32_t at;     /* the next token to hand out */
  uint32_t last;   /* the one handed out last (DK_NO_TOKEN before the first) */
  int sync;        /* TOK_SYNC_ITEM or TOK_SYNC_DECL to hand out first, or 0 */
  uint32_t closes; /* TOK_CLOSE to hand out then */

  uint32_t *blocks, n_blocks, cap_blocks; /* the { of the open blocks */
  uint32_t *holes, n_holes, cap_holes;    /* the {{ of the open holes */
  uint32_t decl_start;                    /* the word that began the declaration in work, or DK_NO_TOKEN */
  uint32_t decl_before;                   /* the one before that, while it may not be finished */
  uint32_t item_start;                    /* the first token of the statement in work */
  bool decl_has_errors;
  bool too_deep; /* reported */
};

/* For the grammar. */
int dk_parse_next(struct dk_parse *p, uint32_t *ret_index, struct dk_span *ret_span);
/* After an error was reported: decides where the reading goes on. */
void dk_parse_recover(struct dk_parse *p);
void dk_parse_open_block(struct dk_parse *p); /* its { was the last token */
void dk_parse_close_block(struct dk_parse *p);
void *dk_parse_scratch(size_t size);

/* Whether a statement of a block may begin with this token. */
bool dk_parse_begins_item(const struct dk_tokens *tokens, uint32_t index);
/* The innermost ( [ { or {{ that is open before the token, looking back to `from`; DK_NO_TOKEN if there is none. */
uint32_t dk_parse_open_bracket(const struct dk_tokens *tokens, uint32_t from, uint32_t index);

#endif
