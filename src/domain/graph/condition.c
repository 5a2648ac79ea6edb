/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recursive descent over the text of the condition into an array of nodes, and a walk over that array per row. The depth of both is
 * bounded when parsing.
 *
 * A chain `a < b < c` becomes `a < b and b < c`; the operand in the middle is one node with two parents.
 */
#include "domain/graph/condition.h"

#include "domain/graph/values.h"
#include "shared/number.h"

#include <inttypes.h>

/* ---- parsing ---- */

struct parser {
    struct px_graph_reading *reading;
    struct px_graph_condition *condition;
    struct px_str text;
    size_t at;
    unsigned depth;
};

static enum px_code fail_at(struct parser *p, const char *what)
{
    return px_err_set(p->reading->err, PX_E_INVALID,
                      "line %u: condition '%.*s': %s at character %zu", p->condition->line,
                      PX_STR_ARG(p->text), what, p->at + 1);
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->text.len && strchr(" \t\r\n", p->text.ptr[p->at]))
        p->at++;
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("_.-/:", c));
}

/* The word at the current place; empty when there is none. */
static struct px_str peek_word(struct parser *p)
{
    size_t end = p->at;
    skip_blanks(p);
    end = p->at;
    while (end < p->text.len && is_word_byte(p->text.ptr[end]))
        end++;
    return px_str_n(p->text.ptr + p->at, end - p->at);
}

static bool take_word(struct parser *p, const char *word)
{
    struct px_str next = peek_word(p);
    if (!px_str_is(next, word))
        return false;
    p->at += next.len;
    return true;
}

static bool take_sign(struct parser *p, const char *sign)
{
    size_t len = strlen(sign);
    skip_blanks(p);
    if (p->text.len - p->at < len || memcmp(p->text.ptr + p->at, sign, len) != 0)
        return false;
    p->at += len;
    return true;
}

static enum px_code add_node(struct parser *p, struct px_graph_node node, unsigned *ret)
{
    if (p->condition->n_nodes == PX_GRAPH_CONDITION_NODES_MAX)
        return fail_at(p, "too many comparisons");
    *ret = (unsigned)p->condition->n_nodes;
    p->condition->nodes[p->condition->n_nodes++] = node;
    return PX_OK;
}

static enum px_code parse_or(struct parser *p, unsigned *ret);

static enum px_code parse_text(struct parser *p, char quote, unsigned *ret)
{
    size_t begin = ++p->at;
    while (p->at < p->text.len && p->text.ptr[p->at] != quote)
        p->at++;
    if (p->at == p->text.len)
        return fail_at(p, "the quote is not closed");
    struct px_graph_node node = {.kind = PX_GRAPH_NODE_TEXT,
                                 .is_text = true,
                                 .text = px_str_n(p->text.ptr + begin, p->at - begin)};
    p->at++;
    return add_node(p, node, ret);
}

static enum px_code parse_column(struct parser *p, struct px_graph_node *node)
{
    if (p->at >= p->text.len || p->text.ptr[p->at] != '[')
        return PX_OK;
    size_t begin = ++p->at;
    while (p->at < p->text.len && p->text.ptr[p->at] != ']')
        p->at++;
    node->has_column = true;
    if (p->at == p->text.len ||
        !px_str_to_u64(px_str_trim(px_str_n(p->text.ptr + begin, p->at - begin)), &node->column))
        return fail_at(p, "expected a column as in [1]");
    p->at++;
    return PX_OK;
}

static enum px_code parse_word(struct parser *p, unsigned *ret)
{
    struct px_str word = peek_word(p);
    if (word.len == 0)
        return fail_at(p, "expected a tensor, a number or a quoted text");
    struct px_graph_node node = {.kind = PX_GRAPH_NODE_NUMBER};
    bool truth = px_str_is(word, "true");
    double real;
    if (truth || px_str_is(word, "false"))
        node.number.real = truth;
    else if ((word.ptr[0] >= '0' && word.ptr[0] <= '9') || word.ptr[0] == '-' ||
             word.ptr[0] == '.') {
        const char *end = px_number_parse_f64(word.ptr, p->text.ptr + p->text.len, &real);
        if (!end)
            return fail_at(p, "expected a number");
        word.len = (size_t)(end - word.ptr);
        node.number = px_graph_number_of_text(word, real);
    } else {
        node.kind = PX_GRAPH_NODE_TENSOR;
        node.reference.text = word;
        node.reference.line = p->condition->line;
    }
    p->at += word.len;
    enum px_code code = node.kind == PX_GRAPH_NODE_TENSOR ? parse_column(p, &node) : PX_OK;
    return code == PX_OK ? add_node(p, node, ret) : code;
}

static enum px_code parse_operand(struct parser *p, unsigned *ret)
{
    skip_blanks(p);
    char c = p->at < p->text.len ? p->text.ptr[p->at] : '\0';
    if (c == '\'' || c == '"')
        return parse_text(p, c, ret);
    if (!take_sign(p, "("))
        return parse_word(p, ret);
    enum px_code code = parse_or(p, ret);
    if (code == PX_OK && !take_sign(p, ")"))
        code = fail_at(p, "expected ')'");
    return code;
}

static enum px_graph_comparison take_comparison(struct parser *p)
{
    static const struct {
        const char *sign;
        enum px_graph_comparison comparison;
    } signs[] = {{"<=", PX_GRAPH_LESS_EQUAL},    {"<", PX_GRAPH_LESS},
                 {">=", PX_GRAPH_GREATER_EQUAL}, {">", PX_GRAPH_GREATER},
                 {"==", PX_GRAPH_EQUAL},         {"!=", PX_GRAPH_NOT_EQUAL}};
    for (size_t i = 0; i < PX_ARRAY_LEN(signs); i++) {
        if (take_sign(p, signs[i].sign))
            return signs[i].comparison;
    }
    return 0;
}

static enum px_code join(struct parser *p, enum px_graph_node_kind kind, unsigned left,
                         unsigned *right_and_ret)
{
    struct px_graph_node node = {.kind = kind, .left = left, .right = *right_and_ret};
    return add_node(p, node, right_and_ret);
}

static enum px_code parse_comparison(struct parser *p, unsigned *ret)
{
    unsigned left, chain = 0;
    bool chained = false;
    enum px_code code = parse_operand(p, &left);
    *ret = left;
    while (code == PX_OK) {
        enum px_graph_comparison comparison = take_comparison(p);
        if (!comparison)
            break;
        unsigned right, compared;
        code = parse_operand(p, &right);
        if (code != PX_OK)
            return code;
        struct px_graph_node node = {
            .kind = PX_GRAPH_NODE_COMPARE, .comparison = comparison, .left = left, .right = right};
        code = add_node(p, node, &compared);
        if (code == PX_OK && chained)
            code = join(p, PX_GRAPH_NODE_AND, chain, &compared);
        *ret = chain = compared;
        left = right;
        chained = true;
    }
    return code;
}

static enum px_code parse_not(struct parser *p, unsigned *ret)
{
    if (p->depth == PX_GRAPH_CONDITION_DEPTH_MAX)
        return fail_at(p, "nested too deeply");
    p->depth++;
    enum px_code code;
    if (take_word(p, "not")) {
        code = parse_not(p, ret);
        if (code == PX_OK)
            code = join(p, PX_GRAPH_NODE_NOT, *ret, ret);
    } else
        code = parse_comparison(p, ret);
    p->depth--;
    return code;
}

static enum px_code parse_and(struct parser *p, unsigned *ret)
{
    enum px_code code = parse_not(p, ret);
    while (code == PX_OK && take_word(p, "and")) {
        unsigned left = *ret;
        code = parse_not(p, ret);
        if (code == PX_OK)
            code = join(p, PX_GRAPH_NODE_AND, left, ret);
    }
    return code;
}

static enum px_code parse_or(struct parser *p, unsigned *ret)
{
    enum px_code code = parse_and(p, ret);
    while (code == PX_OK && take_word(p, "or")) {
        unsigned left = *ret;
        code = parse_and(p, ret);
        if (code == PX_OK)
            code = join(p, PX_GRAPH_NODE_OR, left, ret);
    }
    return code;
}

enum px_code px_graph_condition_parse(struct px_graph_reading *reading, const struct px_yaml *node,
                                      struct px_graph_condition **ret)
{
    struct px_graph_condition *condition = px_arena_zalloc(reading->arena, 1, sizeof *condition);
    if (!condition)
        return px_graph_fail_memory(reading);
    condition->line = node->line;
    enum px_code code = px_yaml_str(node, &condition->text, reading->err);
    if (code != PX_OK)
        return code;
    struct px_graph_node PX_UNINITIALIZED nodes[PX_GRAPH_CONDITION_NODES_MAX];
    struct parser p = {.reading = reading, .condition = condition, .text = condition->text};
    condition->nodes = nodes;
    code = parse_or(&p, &condition->root);
    skip_blanks(&p);
    if (code == PX_OK && p.at < p.text.len)
        code = fail_at(&p, "expected 'and', 'or' or a comparison");
    condition->nodes = px_arena_alloc(reading->arena, condition->n_nodes + 1, sizeof *nodes);
    if (code != PX_OK)
        return code;
    if (!condition->nodes)
        return px_graph_fail_memory(reading);
    memcpy(condition->nodes, nodes, condition->n_nodes * sizeof *nodes);
    *ret = condition;
    return PX_OK;
}

/* ---- checking ---- */

static enum px_code fail_check(struct px_graph_reading *reading,
                               const struct px_graph_condition *condition,
                               const struct px_graph_node *node, const char *what)
{
    struct px_str part = node->kind == PX_GRAPH_NODE_TENSOR ? node->reference.text : node->text;
    return px_err_set(reading->err, PX_E_INVALID, "line %u: condition '%.*s': %s%.*s%s%s",
                      condition->line, PX_STR_ARG(condition->text), part.len ? "'" : "",
                      PX_STR_ARG(part), part.len ? "' " : "", what);
}

/* One value per row, or one at all? */
static enum px_code check_shape(struct px_graph_reading *reading,
                                const struct px_graph_condition *condition,
                                struct px_graph_node *node, const struct px_tensor_spec *spec)
{
    uint64_t per_row = 1;
    bool known = !spec->any_rank;
    for (size_t i = 1; known && i < spec->n_dims; i++) {
        known = spec->shape[i] != PX_DIM_ANY;
        if (known && __builtin_mul_overflow(per_row, (uint64_t)spec->shape[i], &per_row))
            known = false;
    }
    node->is_rows = spec->any_rank || (spec->n_dims && spec->shape[0] == PX_DIM_ANY);
    if (!node->is_rows && spec->n_dims && spec->shape[0] != 1)
        return fail_check(
            reading, condition, node,
            "must have one value per row or one at all: its first dimension is fixed");
    if (known && !node->has_column && per_row != 1)
        return fail_check(reading, condition, node,
                          "has more than one value per row: choose a column, as in name[1]");
    if (known && node->has_column && node->column >= per_row)
        return fail_check(reading, condition, node, "has no such column");
    return PX_OK;
}

static enum px_code check_tensor(struct px_graph_reading *reading,
                                 struct px_graph_condition *condition, struct px_graph_node *node)
{
    enum px_code code = px_graph_find_tensor(reading, &node->reference);
    if (code != PX_OK)
        return code;
    const struct px_tensor_spec *spec = px_graph_spec(reading->graph, node->reference.source);
    node->is_text = spec->type == PX_TYPE_BYTES;
    code = check_shape(reading, condition, node, spec);
    condition->is_rows |= node->is_rows;
    return code;
}

static bool is_value(const struct px_graph_node *node)
{
    return node->kind >= PX_GRAPH_NODE_TENSOR;
}

static enum px_code check_compare(struct px_graph_reading *reading,
                                  const struct px_graph_condition *condition,
                                  const struct px_graph_node *node)
{
    const struct px_graph_node *left = &condition->nodes[node->left];
    const struct px_graph_node *right = &condition->nodes[node->right];
    if (!is_value(left) || !is_value(right))
        return fail_check(reading, condition, node, "a comparison has values on both sides");
    if (left->is_text != right->is_text)
        return fail_check(reading, condition, left->kind == PX_GRAPH_NODE_TENSOR ? left : right,
                          "is compared with another type: texts are quoted, numbers are not");
    if (left->is_text && node->comparison < PX_GRAPH_EQUAL)
        return fail_check(reading, condition, node, "texts are compared with == and != only");
    return PX_OK;
}

/* Is this the kind of node that is true or false? */
static enum px_code check_truth(struct px_graph_reading *reading,
                                const struct px_graph_condition *condition, unsigned at)
{
    const struct px_graph_node *node = &condition->nodes[at];
    if (!is_value(node))
        return PX_OK;
    if (node->kind == PX_GRAPH_NODE_TENSOR &&
        px_graph_spec(reading->graph, node->reference.source)->type == PX_TYPE_BOOL)
        return PX_OK;
    return fail_check(reading, condition, node, "must be compared with something");
}

enum px_code px_graph_condition_check(struct px_graph_reading *reading,
                                      struct px_graph_condition *condition)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; i < condition->n_nodes && code == PX_OK; i++) {
        struct px_graph_node *node = &condition->nodes[i];
        if (node->kind == PX_GRAPH_NODE_TENSOR)
            code = check_tensor(reading, condition, node);
        else if (node->kind == PX_GRAPH_NODE_COMPARE)
            code = check_compare(reading, condition, node);
        else if (!is_value(node))
            code = check_truth(reading, condition, node->left);
        if (code == PX_OK && node->kind < PX_GRAPH_NODE_NOT)
            code = check_truth(reading, condition, node->right);
    }
    return code == PX_OK ? check_truth(reading, condition, condition->root) : code;
}

/* ---- evaluating ---- */

/* A tensor node while a condition is evaluated. */
struct column {
    const struct px_tensor *tensor;
    const struct px_str *texts; /* of BYTES */
    size_t per_row;
};

struct evaluation {
    const struct px_graph_condition *condition;
    struct column *columns; /* one per node */
    struct px_arena *arena;
    struct px_err *err;
};

static size_t element_of(const struct evaluation *e, unsigned at, size_t row)
{
    const struct px_graph_node *node = &e->condition->nodes[at];
    const struct column *column = &e->columns[at];
    size_t base = node->is_rows ? row * column->per_row : 0;
    return base + (node->has_column ? (size_t)node->column : 0);
}

static struct px_graph_number number_of(const struct evaluation *e, unsigned at, size_t row)
{
    const struct px_graph_node *node = &e->condition->nodes[at];
    if (node->kind == PX_GRAPH_NODE_NUMBER)
        return node->number;
    return px_graph_number_of_tensor(e->columns[at].tensor, element_of(e, at, row));
}

/* The type that a written number is rounded to. */
static enum px_datatype type_of(const struct evaluation *e, unsigned at)
{
    bool is_tensor = e->condition->nodes[at].kind == PX_GRAPH_NODE_TENSOR;
    return is_tensor ? e->columns[at].tensor->type : PX_TYPE_NONE;
}

static bool compare_numbers(const struct evaluation *e, const struct px_graph_node *node,
                            size_t row)
{
    struct px_graph_number left = number_of(e, node->left, row);
    struct px_graph_number right = number_of(e, node->right, row);
    if (e->condition->nodes[node->left].kind == PX_GRAPH_NODE_NUMBER)
        left = px_graph_number_as(left, type_of(e, node->right));
    if (e->condition->nodes[node->right].kind == PX_GRAPH_NODE_NUMBER)
        right = px_graph_number_as(right, type_of(e, node->left));
    return px_graph_number_compare(&left, node->comparison, &right);
}

static struct px_str text_of(const struct evaluation *e, unsigned at, size_t row)
{
    const struct px_graph_node *node = &e->condition->nodes[at];
    return node->kind == PX_GRAPH_NODE_TEXT ? node->text
                                            : e->columns[at].texts[element_of(e, at, row)];
}

static bool compare(const struct evaluation *e, const struct px_graph_node *node, size_t row)
{
    if (e->condition->nodes[node->left].is_text)
        return px_str_eq(text_of(e, node->left, row), text_of(e, node->right, row)) ==
               (node->comparison == PX_GRAPH_EQUAL);
    return compare_numbers(e, node, row);
}

static bool is_true(const struct evaluation *e, unsigned at, size_t row)
{
    const struct px_graph_node *node = &e->condition->nodes[at];
    switch (node->kind) {
    case PX_GRAPH_NODE_OR:
        return is_true(e, node->left, row) || is_true(e, node->right, row);
    case PX_GRAPH_NODE_AND:
        return is_true(e, node->left, row) && is_true(e, node->right, row);
    case PX_GRAPH_NODE_NOT:
        return !is_true(e, node->left, row);
    case PX_GRAPH_NODE_COMPARE:
        return compare(e, node, row);
    case PX_GRAPH_NODE_TENSOR:
    case PX_GRAPH_NODE_NUMBER:
    case PX_GRAPH_NODE_TEXT:
    default:
        return number_of(e, at, row).real != 0;
    }
}

static enum px_code fail_rows(const struct evaluation *e, const struct px_graph_node *node,
                              const struct px_tensor *tensor, const char *what)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    return px_err_set(e->err, PX_E_INVALID, "condition '%.*s': '%.*s' is %s: %s",
                      PX_STR_ARG(e->condition->text), PX_STR_ARG(node->reference.text),
                      px_tensor_shape_text(tensor, shape), what);
}

/* Looks a tensor up, and its rows; `n_rows` is SIZE_MAX until one tensor has said how many there are. */
static enum px_code open_column(struct evaluation *e, size_t at, const struct px_tensor *tensor,
                                size_t *n_rows)
{
    const struct px_graph_node *node = &e->condition->nodes[at];
    struct column *column = &e->columns[at];
    size_t n = px_graph_n_rows(tensor);
    *column = (struct column){tensor, NULL, px_graph_row_elements(tensor)};
    if (node->has_column ? node->column >= column->per_row : column->per_row != 1 && n)
        return fail_rows(e, node, tensor,
                         node->has_column ? "it has no such column"
                                          : "one value per row is needed");
    if (!node->is_rows && n != 1)
        return fail_rows(e, node, tensor, "one value is needed");
    if (node->is_rows && *n_rows != SIZE_MAX && *n_rows != n)
        return fail_rows(e, node, tensor, "another tensor has a different number of rows");
    if (node->is_rows)
        *n_rows = n;
    if (!node->is_text)
        return PX_OK;
    column->texts = px_graph_texts(tensor, n * column->per_row, e->arena);
    return column->texts ? PX_OK : px_arena_check(e->arena, "a condition", e->err);
}

enum px_code px_graph_condition_evaluate(const struct px_graph_condition *condition,
                                         const struct px_graph_tensors *tensors,
                                         struct px_arena *arena, struct px_graph_rows *ret,
                                         struct px_err *err)
{
    struct column PX_UNINITIALIZED columns[PX_GRAPH_CONDITION_NODES_MAX];
    struct evaluation e = {condition, columns, arena, err};
    size_t n_rows = condition->is_rows ? SIZE_MAX : 1;
    bool absent = false;
    for (size_t i = 0; i < condition->n_nodes; i++) {
        const struct px_graph_node *node = &condition->nodes[i];
        if (node->kind != PX_GRAPH_NODE_TENSOR)
            continue;
        const struct px_tensor *tensor = tensors->get(tensors->context, node->reference.source);
        absent |= !tensor;
        enum px_code code = tensor ? open_column(&e, i, tensor, &n_rows) : PX_OK;
        if (code != PX_OK)
            return code;
    }
    n_rows = n_rows == SIZE_MAX ? 1 : n_rows;
    *ret = (struct px_graph_rows){.chosen = px_arena_zalloc(arena, n_rows + 1, 1), .n = n_rows};
    if (!ret->chosen)
        return px_arena_check(arena, "a condition", err);
    for (size_t row = 0; row < n_rows && !absent; row++) {
        ret->chosen[row] = is_true(&e, condition->root, row);
        ret->n_chosen += ret->chosen[row];
    }
    return PX_OK;
}
