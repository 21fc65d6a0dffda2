/* What is between the quotation marks: escapes, indentation of blocks, holes. Internal to syntax. */
#ifndef DK_SYNTAX_TEXT_H
#define DK_SYNTAX_TEXT_H

#include "lang/syntax/build.h"

/* Fills string's parts from what the scanner found; reports bad escapes and mixed indentation. */
void dk_text_quoted(struct dk_parse *p, const struct dk_parts *parts, struct dk_expr *string);
void dk_text_block(struct dk_parse *p, const struct dk_parts *parts, struct dk_expr *string);

#endif
