/* Walking expressions, for check and plan. */
#ifndef DK_CHECK_WALK_H
#define DK_CHECK_WALK_H

#include "lang/syntax/ast.h"

typedef void dk_walk_fn(void *ctx, struct dk_expr *child);
/* Visits the direct subexpressions, in the order they are evaluated; a part that could not be parsed is passed over. */
void dk_walk_children(struct dk_expr *expr, dk_walk_fn *visit, void *ctx);

#endif
