/* Syntax errors in words. */
#ifndef DK_SYNTAX_REPORT_H
#define DK_SYNTAX_REPORT_H

#include "lang/syntax/parse_state.h"

/* What the grammar would have taken instead. */
enum dk_expect {
  DK_EXPECT_PAREN = 1 << 0,
  DK_EXPECT_BRACKET = 1 << 1,
  DK_EXPECT_BRACE = 1 << 2,
  DK_EXPECT_HOLE_CLOSE = 1 << 3,
  DK_EXPECT_COMMA = 1 << 4,
  DK_EXPECT_BODY = 1 << 5,
  DK_EXPECT_ASSIGN = 1 << 6,
  DK_EXPECT_TILDE = 1 << 7,
  DK_EXPECT_IN = 1 << 8,
  DK_EXPECT_THEN = 1 << 9,
  DK_EXPECT_ELSE = 1 << 10,
  DK_EXPECT_AS = 1 << 11,
  DK_EXPECT_OVER = 1 << 12,
  DK_EXPECT_FOR = 1 << 13,
  DK_EXPECT_NAME = 1 << 14,
  DK_EXPECT_VALUE = 1 << 15,
  DK_EXPECT_OPERATOR = 1 << 16,
  DK_EXPECT_DOT = 1 << 17,
  DK_EXPECT_ITEM = 1 << 18,
  DK_EXPECT_DECL = 1 << 19,
  DK_EXPECT_END = 1 << 20,
  DK_EXPECT_OPEN_PAREN = 1 << 21,
  DK_EXPECT_STRING = 1 << 22,
  DK_EXPECT_COMPARISON = 1 << 23,
  DK_EXPECT_RANGE = 1 << 24,
};

/* Reports that the token handed out last cannot stand there. Says nothing about what was reported already. */
void dk_report_syntax(struct dk_parse *p, uint32_t expected);
void dk_report_too_deep(struct dk_parse *p, struct dk_span span);

#endif
