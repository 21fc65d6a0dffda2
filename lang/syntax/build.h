/* The constructors of the tree: one call of each action of the grammar. Internal to syntax.
 *
 * Tokens are given by their index. Nothing here fails: what is wrong is reported and becomes DK_EXPR_ERROR. A node
 * whose part is DK_EXPR_ERROR stays itself, so that later passes still see the good parts. */
#ifndef DK_SYNTAX_BUILD_H
#define DK_SYNTAX_BUILD_H

#include "lang/syntax/ast.h"

struct dk_parse;

struct dk_names {
  const struct dk_str **items;
  struct dk_span *spans;
  uint32_t count, cap, cap_spans;
};
struct dk_fors {
  struct dk_for *items;
  uint32_t count, cap;
};
/* A part of a string before escapes and indentation are done: a TOK_TEXT token, or a hole. */
struct dk_part {
  uint32_t token;
  struct dk_expr *hole;
  struct dk_span span;
};
struct dk_parts {
  struct dk_part *items;
  uint32_t count, cap;
};
struct dk_path {
  const struct dk_str *quoted;
  uint32_t first, last;
}; /* quoted, or the tokens a . b . c */

struct dk_span dk_build_between(struct dk_span first, struct dk_span last);

struct dk_expr *dk_build_error(struct dk_parse *p, struct dk_span span);
struct dk_expr *dk_build_null(struct dk_parse *p, struct dk_span span);
struct dk_expr *dk_build_bool(struct dk_parse *p, bool value, struct dk_span span);
struct dk_expr *dk_build_int(struct dk_parse *p, uint32_t token);
struct dk_expr *dk_build_float(struct dk_parse *p, uint32_t token);
struct dk_expr *dk_build_quantity(struct dk_parse *p, uint32_t token);
struct dk_expr *dk_build_name(struct dk_parse *p, uint32_t token);
struct dk_expr *dk_build_raw(struct dk_parse *p, uint32_t token);
struct dk_expr *dk_build_string(struct dk_parse *p, uint32_t open, const struct dk_parts *parts, struct dk_span span);
struct dk_parts *dk_build_parts(struct dk_parse *p);
struct dk_parts *dk_build_parts_add(struct dk_parse *p, struct dk_parts *parts, uint32_t token, struct dk_expr *hole,
                                    struct dk_span span);

struct dk_exprs *dk_build_exprs(struct dk_parse *p, struct dk_exprs *exprs /* NULL: a new one */, struct dk_expr *expr);
struct dk_expr *dk_build_list(struct dk_parse *p, const struct dk_exprs *items /* or NULL */, struct dk_span span);
struct dk_expr *dk_build_tuple(struct dk_parse *p, struct dk_expr *first, const struct dk_exprs *rest,
                               struct dk_span span);
struct dk_expr *dk_build_lone_tuple(struct dk_parse *p, struct dk_expr *first, struct dk_span span);
struct dk_expr *dk_build_record(struct dk_parse *p, const struct dk_fields *fields, struct dk_span span);
struct dk_expr *dk_build_member(struct dk_parse *p, struct dk_expr *of, uint32_t name, struct dk_span span);
struct dk_expr *dk_build_index(struct dk_parse *p, struct dk_expr *of, struct dk_expr *index, struct dk_span bracket,
                               struct dk_span span);
struct dk_expr *dk_build_select(struct dk_parse *p, struct dk_expr *of, const struct dk_fields *selectors,
                                struct dk_span span);
struct dk_expr *dk_build_call(struct dk_parse *p, struct dk_expr *callee, const struct dk_fields *args,
                              struct dk_span bracket, struct dk_span span);
struct dk_expr *dk_build_with(struct dk_parse *p, struct dk_expr *of, const struct dk_expr *record,
                              struct dk_span span);
struct dk_expr *dk_build_unary(struct dk_parse *p, enum dk_op op, struct dk_expr *operand, struct dk_span span);
struct dk_expr *dk_build_binary(struct dk_parse *p, enum dk_op op, struct dk_expr *left, struct dk_expr *right,
                                struct dk_span op_span, struct dk_span span);
struct dk_expr *dk_build_range(struct dk_parse *p, struct dk_expr *first, struct dk_expr *last, struct dk_expr *step,
                               struct dk_span span);
struct dk_expr *dk_build_if(struct dk_parse *p, struct dk_expr *condition, struct dk_expr *then,
                            struct dk_expr *otherwise, struct dk_span span);
struct dk_expr *dk_build_where(struct dk_parse *p, struct dk_expr *of, struct dk_expr *predicate, struct dk_span span);
struct dk_fors *dk_build_for(struct dk_parse *p, struct dk_fors *fors, const struct dk_names *names, struct dk_expr *in,
                             const struct dk_exprs *ifs, struct dk_span span);
struct dk_expr *dk_build_comprehension(struct dk_parse *p, struct dk_expr *value, const struct dk_fors *fors,
                                       struct dk_span span);

struct dk_fields *dk_build_fields(struct dk_parse *p);
struct dk_fields *dk_build_fields_add(struct dk_parse *p, struct dk_fields *fields, struct dk_field field);
struct dk_fields *dk_build_argument_add(struct dk_parse *p, struct dk_fields *args, struct dk_field arg);
struct dk_field dk_build_key(struct dk_parse *p, uint32_t token);
struct dk_field dk_build_key_text(struct dk_parse *p, struct dk_expr *string);
struct dk_field dk_build_positional(struct dk_expr *value);

struct dk_names *dk_build_names(struct dk_parse *p);
struct dk_names *dk_build_names_add(struct dk_parse *p, struct dk_names *names, uint32_t token);

struct dk_stmt *dk_build_stmt(struct dk_parse *p, enum dk_stmt_kind kind, const struct dk_names *names,
                              struct dk_expr *value);
struct dk_stmt *dk_build_stmt_field(struct dk_parse *p, struct dk_field key, struct dk_expr *value);
struct dk_stmt *dk_build_stmt_block(struct dk_parse *p, uint32_t name, struct dk_block *block);
struct dk_stmt *dk_build_vary(struct dk_parse *p, const struct dk_names *names, struct dk_expr *value);
struct dk_stmt *dk_build_require(struct dk_parse *p, struct dk_expr *value, struct dk_expr *message);
struct dk_block *dk_build_block(struct dk_parse *p);
struct dk_block *dk_build_block_add(struct dk_parse *p, struct dk_block *block, const struct dk_stmt *stmt,
                                    struct dk_span span);
/* The statement in work could not be read: kept with its name and an error for its value where it had got so far. */
struct dk_block *dk_build_block_broken(struct dk_parse *p, struct dk_block *block);
struct dk_block *dk_build_block_end(struct dk_parse *p, struct dk_block *block, struct dk_span span);

struct dk_path dk_build_dotted(uint32_t first, uint32_t last);
struct dk_path dk_build_path(struct dk_parse *p, const struct dk_expr *string);
struct dk_decl *dk_build_decl(struct dk_parse *p, enum dk_decl_kind kind, uint32_t name, struct dk_expr *value,
                              struct dk_expr *over, struct dk_block *block);
struct dk_decl *dk_build_function(struct dk_parse *p, uint32_t name, const struct dk_names *params,
                                  struct dk_expr *value);
struct dk_decl *dk_build_import(struct dk_parse *p, struct dk_path path, struct dk_span path_span, uint32_t alias);
void dk_build_decl_add(struct dk_parse *p, struct dk_decl *decl, struct dk_span span);
/* The declaration in work could not be read: kept with its name and an error for its value. */
void dk_build_decl_broken(struct dk_parse *p);

#endif
