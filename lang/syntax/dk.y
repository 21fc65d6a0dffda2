/* The grammar of dk (docs/language.md). Each action is one call that builds a node (build.h).
 *
 * Recovery: a statement that cannot be read is `error SYNC_ITEM`, a declaration `error SYNC_DECL`, a hole `error` up to its
 * end. The SYNC tokens and CLOSE (a brace that is missing) exist in no source: yylex (parse.c) puts them in where the
 * reading can go on. Which words are declaration words was decided before, in token.c. */
%require "3.8"
%expect 0
%locations
%define api.pure full
%define api.prefix {dk_yy}
%define api.token.prefix {TOK_}
%define api.value.type union
%define api.location.type {struct dk_span}
%define parse.error custom
%define parse.lac full
%param {struct dk_parse *p}
%initial-action { @$ = DK_NO_SPAN; }

%code requires {
#include "lang/syntax/build.h"
}

%code {
#include "lang/syntax/parse_state.h"
#include "lang/syntax/report.h"

/* Both stacks stay within yyparse's frame; what LAC needs beyond its own comes from the arena of this thread's parse. */
#define YYSTACK_USE_ALLOCA 0
#define YYINITDEPTH 4000
#define YYMAXDEPTH 4000
#define YYMALLOC dk_parse_scratch
#define YYFREE(memory) ((void)(memory))

#define YYLLOC_DEFAULT(Current, Rhs, N)                                                                                \
  do {                                                                                                                 \
    if (N) {                                                                                                           \
      (Current).start = YYRHSLOC(Rhs, 1).start;                                                                        \
      (Current).end = YYRHSLOC(Rhs, N).end;                                                                            \
    } else {                                                                                                           \
      (Current).start = (Current).end = YYRHSLOC(Rhs, 0).end;                                                          \
    }                                                                                                                  \
  } while (0)
#define YYLOCATION_PRINT(File, Loc) fprintf(File, "%u-%u", (Loc)->start, (Loc)->end)

static int dk_yylex(YYSTYPE *value, struct dk_span *span, struct dk_parse *p) {
  return dk_parse_next(p, &value->TOK_NAME, span);
}
static void dk_yyerror(struct dk_span *span, struct dk_parse *p, const char *message);

/* The first token of what follows, whether bison has looked at it already or not. */
#define NEXT_TOKEN (yychar == TOK_DK_YYEMPTY ? p->at : p->last)
}

%token START_FILE START_EXPR END
%token SYNC_ITEM SYNC_DECL CLOSE
%token EXPERIMENT PARAM LET RESOURCE GRID TASK PICK REPORT IMPORT IMAGE SOURCE PROVIDER
%token OVER AS EXCLUDE INCLUDE REQUIRE VARY
%token IF THEN FOR TRUE FALSE NULL
%token STRING_CLOSE ODD
%token <uint32_t> NAME INT FLOAT QUANTITY BAD_NUMBER RAW STRING_OPEN TEXT HOLE_OPEN HOLE_CLOSE

%left WHERE
%precedence ELSE
%left OR
%left AND
%precedence NOT
%nonassoc EQ NE '<' LE '>' GE IN NOT_IN
%right COALESCE
%nonassoc RANGE
%precedence BY
%left '+' '-'
%left '*' '/' FLOORDIV '%'
%precedence NEGATION
%right POW
%precedence WITH
%precedence '.' '[' '('

%type <struct dk_block *> block items
%type <struct dk_stmt *> item statement
%type <struct dk_names *> names parameters
%type <struct dk_fields *> fields arguments argument_list selectors
%type <struct dk_field> argument selector field
%type <struct dk_field> key
%type <struct dk_expr *> expr string record over
%type <struct dk_exprs *> exprs conditions
%type <struct dk_parts *> parts
%type <struct dk_fors *> fors
%type <struct dk_decl *> decl
%type <struct dk_path> path dotted

%%

start
  : START_FILE decls END
  | START_EXPR expr END { p->expr = $expr; }
  ;

decls
  : %empty
  | decls decl { dk_build_decl_add(p, $decl, @decl); }
  | decls error SYNC_DECL { dk_build_decl_broken(p); yyerrok; }
  ;

decl
  : EXPERIMENT NAME block { $$ = dk_build_decl(p, DK_DECL_EXPERIMENT, $NAME, NULL, NULL, $block); }
  | PARAM NAME '=' expr { $$ = dk_build_decl(p, DK_DECL_PARAM, $NAME, $expr, NULL, NULL); }
  | LET NAME '=' expr { $$ = dk_build_decl(p, DK_DECL_LET, $NAME, $expr, NULL, NULL); }
  | LET NAME '(' parameters ')' '=' expr { $$ = dk_build_function(p, $NAME, $parameters, $expr); }
  | RESOURCE NAME block { $$ = dk_build_decl(p, DK_DECL_RESOURCE, $NAME, NULL, NULL, $block); }
  | GRID NAME '=' expr { $$ = dk_build_decl(p, DK_DECL_GRID, $NAME, $expr, NULL, NULL); }
  | GRID NAME over block { $$ = dk_build_decl(p, DK_DECL_GRID, $NAME, NULL, $over, $block); }
  | TASK NAME over block { $$ = dk_build_decl(p, DK_DECL_TASK, $NAME, NULL, $over, $block); }
  | PICK NAME block { $$ = dk_build_decl(p, DK_DECL_PICK, $NAME, NULL, NULL, $block); }
  | REPORT block { $$ = dk_build_decl(p, DK_DECL_REPORT, DK_NO_TOKEN, NULL, NULL, $block); }
  | REPORT NAME block { $$ = dk_build_decl(p, DK_DECL_REPORT, $NAME, NULL, NULL, $block); }
  | IMAGE NAME block { $$ = dk_build_decl(p, DK_DECL_IMAGE, $NAME, NULL, NULL, $block); }
  | PROVIDER NAME block { $$ = dk_build_decl(p, DK_DECL_PROVIDER, $NAME, NULL, NULL, $block); }
  | SOURCE NAME '=' expr { $$ = dk_build_decl(p, DK_DECL_SOURCE, $NAME, $expr, NULL, NULL); }
  | IMPORT path AS NAME { $$ = dk_build_import(p, $path, @path, $NAME); }
  | IMPORT path { $$ = dk_build_import(p, $path, @path, DK_NO_TOKEN); }
  ;

over
  : %empty { $$ = NULL; }
  | OVER expr { $$ = $expr; }
  ;

path
  : dotted
  | string { $$ = dk_build_path(p, $string); }
  ;

dotted
  : NAME { $$ = dk_build_dotted($NAME, $NAME); }
  | dotted[head] '.' NAME { $$ = dk_build_dotted($head.first, $NAME); }
  ;

parameters
  : %empty { $$ = dk_build_names(p); }
  | names
  | names ','
  ;

names
  : NAME { $$ = dk_build_names_add(p, dk_build_names(p), $NAME); }
  | names[head] ',' NAME { $$ = dk_build_names_add(p, $head, $NAME); }
  ;

block
  : open items close { $$ = dk_build_block_end(p, $items, @$); }
  ;

open
  : '{' { dk_parse_open_block(p); p->item_start = NEXT_TOKEN; }
  ;

close
  : '}'
  | CLOSE
  ;

items
  : %empty { $$ = dk_build_block(p); }
  | items[head] item { $$ = dk_build_block_add(p, $head, $item, @item); p->item_start = NEXT_TOKEN; }
  | items[head] error SYNC_ITEM {
      $$ = dk_build_block_broken(p, $head);
      p->item_start = NEXT_TOKEN;
      yyerrok;
    }
  ;

item
  : statement
  | statement ','
  | NAME block { $$ = dk_build_stmt_block(p, $NAME, $block); }
  | REQUIRE expr { $$ = dk_build_stmt(p, DK_STMT_REQUIRE, NULL, $expr); }
  | REQUIRE expr ',' expr[text] { $$ = dk_build_require(p, $2, $text); }
  ;

statement
  : key '=' expr { $$ = dk_build_stmt_field(p, $key, $expr); }
  | names IN expr { $$ = dk_build_stmt(p, DK_STMT_AXIS, $names, $expr); }
  | names '~' expr { $$ = dk_build_stmt(p, DK_STMT_DRAW_AXIS, $names, $expr); }
  | VARY names IN expr { $$ = dk_build_vary(p, $names, $expr); }
  | EXCLUDE expr { $$ = dk_build_stmt(p, DK_STMT_EXCLUDE, NULL, $expr); }
  | INCLUDE record { $$ = dk_build_stmt(p, DK_STMT_INCLUDE, NULL, $record); }
  ;

key
  : NAME { $$ = dk_build_key(p, $NAME); }
  | string { $$ = dk_build_key_text(p, $string); }
  ;

record
  : '{' fields '}' { $$ = dk_build_record(p, $fields, @$); }
  ;

fields
  : %empty { $$ = dk_build_fields(p); }
  | fields[head] field { $$ = dk_build_fields_add(p, $head, $field); }
  | fields[head] field ',' { $$ = dk_build_fields_add(p, $head, $field); }
  ;

field
  : key '=' expr { $$ = $key; $$.value = $expr; }
  ;

expr
  : NAME { $$ = dk_build_name(p, $NAME); }
  | INT { $$ = dk_build_int(p, $INT); }
  | FLOAT { $$ = dk_build_float(p, $FLOAT); }
  | QUANTITY { $$ = dk_build_quantity(p, $QUANTITY); }
  | BAD_NUMBER { $$ = dk_build_error(p, @$); }
  | TRUE { $$ = dk_build_bool(p, true, @$); }
  | FALSE { $$ = dk_build_bool(p, false, @$); }
  | NULL { $$ = dk_build_null(p, @$); }
  | string
  | record
  | '(' expr[inner] ')' { $$ = $inner; }
  | '(' expr[first] ',' ')' { $$ = dk_build_lone_tuple(p, $first, @$); }
  | '(' expr[first] ',' exprs ')' { $$ = dk_build_tuple(p, $first, $exprs, @$); }
  | '(' expr[first] ',' exprs ',' ')' { $$ = dk_build_tuple(p, $first, $exprs, @$); }
  | '[' ']' { $$ = dk_build_list(p, NULL, @$); }
  | '[' exprs ']' { $$ = dk_build_list(p, $exprs, @$); }
  | '[' exprs ',' ']' { $$ = dk_build_list(p, $exprs, @$); }
  | '[' expr[each] fors ']' { $$ = dk_build_comprehension(p, $each, $fors, @$); }
  | expr[of] '.' NAME { $$ = dk_build_member(p, $of, $NAME, @$); }
  | expr[of] '[' expr[at] ']' { $$ = dk_build_index(p, $of, $at, @2, @$); }
  | expr[of] '[' selectors ']' { $$ = dk_build_select(p, $of, $selectors, @$); }
  | expr[of] '[' selectors ',' ']' { $$ = dk_build_select(p, $of, $selectors, @$); }
  | expr[of] '(' arguments ')' { $$ = dk_build_call(p, $of, $arguments, @2, @$); }
  | expr[of] WITH record { $$ = dk_build_with(p, $of, $record, @$); }
  | '-' expr[of] %prec NEGATION { $$ = dk_build_unary(p, DK_OP_NEG, $of, @$); }
  | NOT expr[of] { $$ = dk_build_unary(p, DK_OP_NOT, $of, @$); }
  | expr[a] '+' expr[b] { $$ = dk_build_binary(p, DK_OP_ADD, $a, $b, @2, @$); }
  | expr[a] '-' expr[b] { $$ = dk_build_binary(p, DK_OP_SUB, $a, $b, @2, @$); }
  | expr[a] '*' expr[b] { $$ = dk_build_binary(p, DK_OP_MUL, $a, $b, @2, @$); }
  | expr[a] '/' expr[b] { $$ = dk_build_binary(p, DK_OP_DIV, $a, $b, @2, @$); }
  | expr[a] FLOORDIV expr[b] { $$ = dk_build_binary(p, DK_OP_FLOORDIV, $a, $b, @2, @$); }
  | expr[a] '%' expr[b] { $$ = dk_build_binary(p, DK_OP_MOD, $a, $b, @2, @$); }
  | expr[a] POW expr[b] { $$ = dk_build_binary(p, DK_OP_POW, $a, $b, @2, @$); }
  | expr[a] EQ expr[b] { $$ = dk_build_binary(p, DK_OP_EQ, $a, $b, @2, @$); }
  | expr[a] NE expr[b] { $$ = dk_build_binary(p, DK_OP_NE, $a, $b, @2, @$); }
  | expr[a] '<' expr[b] { $$ = dk_build_binary(p, DK_OP_LT, $a, $b, @2, @$); }
  | expr[a] LE expr[b] { $$ = dk_build_binary(p, DK_OP_LE, $a, $b, @2, @$); }
  | expr[a] '>' expr[b] { $$ = dk_build_binary(p, DK_OP_GT, $a, $b, @2, @$); }
  | expr[a] GE expr[b] { $$ = dk_build_binary(p, DK_OP_GE, $a, $b, @2, @$); }
  | expr[a] IN expr[b] { $$ = dk_build_binary(p, DK_OP_IN, $a, $b, @2, @$); }
  | expr[a] NOT_IN expr[b] { $$ = dk_build_binary(p, DK_OP_NOT_IN, $a, $b, @2, @$); }
  | expr[a] AND expr[b] { $$ = dk_build_binary(p, DK_OP_AND, $a, $b, @2, @$); }
  | expr[a] OR expr[b] { $$ = dk_build_binary(p, DK_OP_OR, $a, $b, @2, @$); }
  | expr[a] COALESCE expr[b] { $$ = dk_build_binary(p, DK_OP_COALESCE, $a, $b, @2, @$); }
  | expr[a] RANGE expr[b] { $$ = dk_build_range(p, $a, $b, NULL, @$); }
  | expr[a] RANGE expr[b] BY expr[step] { $$ = dk_build_range(p, $a, $b, $step, @$); }
  | IF expr[test] THEN expr[a] ELSE expr[b] { $$ = dk_build_if(p, $test, $a, $b, @$); }
  | expr[of] WHERE expr[test] { $$ = dk_build_where(p, $of, $test, @$); }
  ;

exprs
  : expr { $$ = dk_build_exprs(p, NULL, $expr); }
  | exprs[head] ',' expr { $$ = dk_build_exprs(p, $head, $expr); }
  ;

fors
  : FOR names IN expr conditions { $$ = dk_build_for(p, NULL, $names, $expr, $conditions, @$); }
  | fors[head] FOR names IN expr conditions { $$ = dk_build_for(p, $head, $names, $expr, $conditions, @$); }
  ;

conditions
  : %empty { $$ = NULL; }
  | conditions[head] IF expr { $$ = dk_build_exprs(p, $head, $expr); }
  ;

arguments
  : %empty { $$ = dk_build_fields(p); }
  | argument_list
  | argument_list ','
  ;

argument_list
  : argument { $$ = dk_build_argument_add(p, dk_build_fields(p), $argument); }
  | argument_list[head] ',' argument { $$ = dk_build_argument_add(p, $head, $argument); }
  ;

argument
  : expr { $$ = dk_build_positional($expr); }
  | selector
  ;

selectors
  : selector { $$ = dk_build_fields_add(p, dk_build_fields(p), $selector); }
  | selectors[head] ',' selector { $$ = dk_build_fields_add(p, $head, $selector); }
  ;

selector
  : NAME '=' expr { $$ = dk_build_key(p, $NAME); $$.value = $expr; }
  ;

string
  : RAW { $$ = dk_build_raw(p, $RAW); }
  | STRING_OPEN parts STRING_CLOSE { $$ = dk_build_string(p, $STRING_OPEN, $parts, @$); }
  ;

parts
  : %empty { $$ = dk_build_parts(p); }
  | parts[head] TEXT { $$ = dk_build_parts_add(p, $head, $TEXT, NULL, @TEXT); }
  | parts[head] HOLE_OPEN expr HOLE_CLOSE {
      $$ = dk_build_parts_add(p, $head, DK_NO_TOKEN, $expr, dk_build_between(@HOLE_OPEN, @HOLE_CLOSE));
    }
  | parts[head] HOLE_OPEN error HOLE_CLOSE {
      struct dk_span span = dk_build_between(@HOLE_OPEN, @HOLE_CLOSE);
      $$ = dk_build_parts_add(p, $head, DK_NO_TOKEN, dk_build_error(p, span), span);
      yyerrok;
    }
  ;

%%

/* What bison's tokens are to a person; those that are not here are never named. */
static const struct { int token; uint32_t expect; } expectations[] = {
    {')', DK_EXPECT_PAREN},         {']', DK_EXPECT_BRACKET},      {'}', DK_EXPECT_BRACE},
    {TOK_HOLE_CLOSE, DK_EXPECT_HOLE_CLOSE}, {',', DK_EXPECT_COMMA}, {'{', DK_EXPECT_BODY},
    {'=', DK_EXPECT_ASSIGN},        {'~', DK_EXPECT_TILDE},        {TOK_IN, DK_EXPECT_IN},
    {TOK_THEN, DK_EXPECT_THEN},     {TOK_ELSE, DK_EXPECT_ELSE},    {TOK_AS, DK_EXPECT_AS},
    {TOK_OVER, DK_EXPECT_OVER},     {TOK_FOR, DK_EXPECT_FOR},      {TOK_NAME, DK_EXPECT_NAME},
    {TOK_INT, DK_EXPECT_VALUE},     {TOK_EQ, DK_EXPECT_OPERATOR},  {'+', DK_EXPECT_OPERATOR},
    {'.', DK_EXPECT_DOT},           {TOK_EXCLUDE, DK_EXPECT_ITEM}, {TOK_TASK, DK_EXPECT_DECL},
    {TOK_END, DK_EXPECT_END},       {'(', DK_EXPECT_OPEN_PAREN},   {TOK_STRING_OPEN, DK_EXPECT_STRING},
    {TOK_EQ, DK_EXPECT_COMPARISON}, {TOK_RANGE, DK_EXPECT_RANGE},
};

static int yyreport_syntax_error(const yypcontext_t *context, struct dk_parse *p) {
  yysymbol_kind_t symbols[YYNTOKENS];
  int n = yypcontext_expected_tokens(context, symbols, YYNTOKENS);
  uint32_t expected = 0;
  for (int i = 0; i < n; i++)
    for (size_t j = 0; j < sizeof expectations / sizeof *expectations; j++)
      if (symbols[i] == YYTRANSLATE(expectations[j].token)) expected |= expectations[j].expect;
  dk_report_syntax(p, expected);
  dk_parse_recover(p);
  return 0;
}

/* Called for an exhausted stack only: syntax errors have their own report. */
static void dk_yyerror(struct dk_span *span, struct dk_parse *p, const char *message) {
  (void)message;
  dk_report_too_deep(p, *span);
}
