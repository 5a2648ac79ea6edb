/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events into a tree. The parser works on a stack of open containers; a mapping alternates
 * between a key, which is kept until its value comes, and a value, which becomes a child with that key.
 */
#include "shared/yaml.h"

#include "shared/number.h"

#include <yaml.h>

struct open_node {
    struct px_yaml *node;
    const struct px_yaml **tail; /* where the next child is linked */
    struct px_str key;           /* of the value to come */
    bool has_key;
};

struct reader {
    yaml_parser_t parser;
    struct px_arena *arena;
    struct px_err *err;
    struct open_node stack[PX_YAML_DEPTH_MAX];
    size_t depth, n_nodes;
    const struct px_yaml *root;
};

static unsigned line_of(const yaml_mark_t *mark)
{
    return (unsigned)mark->line + 1;
}

static unsigned column_of(const yaml_mark_t *mark)
{
    return (unsigned)mark->column + 1;
}

static enum px_code refuse(struct reader *r, const yaml_event_t *event, const char *what)
{
    return px_err_set(r->err, PX_E_INVALID, "line %u column %u: %s", line_of(&event->start_mark),
                      column_of(&event->start_mark), what);
}

static enum px_code refuse_syntax(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return px_err_set(r->err, PX_E_NO_MEMORY, "no memory to read YAML");
    if (p->error == YAML_READER_ERROR)
        return px_err_set(r->err, PX_E_INVALID, "byte %zu: %s", p->problem_offset, p->problem);
    return px_err_set(r->err, PX_E_INVALID, "line %u column %u: %s%s%s", line_of(&p->problem_mark),
                      column_of(&p->problem_mark), p->context ? p->context : "",
                      p->context ? ", " : "", p->problem ? p->problem : "malformed YAML");
}

static enum px_code refuse_twin(struct reader *r, const yaml_event_t *event, struct px_str key)
{
    return px_err_set(r->err, PX_E_INVALID, "line %u column %u: key '%.*s' is given twice",
                      line_of(&event->start_mark), column_of(&event->start_mark), PX_STR_ARG(key));
}

/* Takes a scalar as the key of the value to come. */
static enum px_code take_key(struct reader *r, const yaml_event_t *event)
{
    struct open_node *open = &r->stack[r->depth - 1];
    const char *text = (const char *)event->data.scalar.value;
    struct px_str key = px_str_n(text, event->data.scalar.length);
    for (const struct px_yaml *child = open->node->first_child; child; child = child->next) {
        if (px_str_eq(child->key, key))
            return refuse_twin(r, event, key);
    }
    open->key = px_arena_str(r->arena, key);
    open->has_key = true;
    return px_arena_check(r->arena, "the YAML document", r->err);
}

/* Links a new node below the innermost open one, or makes it the root. */
static void link_node(struct reader *r, struct px_yaml *node)
{
    if (r->depth == 0) {
        r->root = node;
        return;
    }
    struct open_node *open = &r->stack[r->depth - 1];
    node->key = open->key;
    *open->tail = node;
    open->tail = &node->next;
    open->node->n_children++;
    open->key = (struct px_str){0};
    open->has_key = false;
}

static enum px_code add_node(struct reader *r, const yaml_event_t *event, enum px_yaml_type type,
                             struct px_yaml **ret)
{
    if (++r->n_nodes > PX_YAML_NODES_MAX)
        return refuse(r, event, "too many nodes");
    struct px_yaml *node = px_arena_zalloc(r->arena, 1, sizeof *node);
    if (!node)
        return px_arena_check(r->arena, "the YAML document", r->err);
    node->type = type;
    node->line = line_of(&event->start_mark);
    node->column = column_of(&event->start_mark);
    link_node(r, node);
    *ret = node;
    return PX_OK;
}

static bool expects_key(const struct reader *r)
{
    if (r->depth == 0)
        return false;
    const struct open_node *open = &r->stack[r->depth - 1];
    return open->node->type == PX_YAML_MAPPING && !open->has_key;
}

static enum px_code take_scalar(struct reader *r, const yaml_event_t *event)
{
    struct px_yaml *node = NULL;
    if (event->data.scalar.anchor)
        return refuse(r, event, "anchors are not supported");
    if (event->data.scalar.tag)
        return refuse(r, event, "tags are not supported");
    if (expects_key(r))
        return take_key(r, event);
    enum px_code code = add_node(r, event, PX_YAML_SCALAR, &node);
    if (code != PX_OK)
        return code;
    node->text = px_arena_str(
        r->arena, px_str_n((const char *)event->data.scalar.value, event->data.scalar.length));
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return px_arena_check(r->arena, "the YAML document", r->err);
}

static enum px_code open_container(struct reader *r, const yaml_event_t *event,
                                   enum px_yaml_type type)
{
    struct px_yaml *node = NULL;
    bool mapping = type == PX_YAML_MAPPING;
    if (mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor)
        return refuse(r, event, "anchors are not supported");
    if (mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag)
        return refuse(r, event, "tags are not supported");
    if (expects_key(r))
        return refuse(r, event, "expected a key, got a nested collection");
    if (r->depth == PX_YAML_DEPTH_MAX)
        return refuse(r, event, "nested too deeply");
    enum px_code code = add_node(r, event, type, &node);
    if (code == PX_OK)
        r->stack[r->depth++] = (struct open_node){.node = node, .tail = &node->first_child};
    return code;
}

static enum px_code take_event(struct reader *r, const yaml_event_t *event, bool *ret_done)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return take_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_container(r, event, PX_YAML_SEQUENCE);
    case YAML_MAPPING_START_EVENT:
        return open_container(r, event, PX_YAML_MAPPING);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return PX_OK;
    case YAML_ALIAS_EVENT:
        return refuse(r, event, "aliases are not supported");
    case YAML_DOCUMENT_START_EVENT:
        return r->root ? refuse(r, event, "expected one document, got another") : PX_OK;
    case YAML_STREAM_END_EVENT:
        *ret_done = true;
        return PX_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return PX_OK;
}

static enum px_code read_events(struct reader *r)
{
    enum px_code code = PX_OK;
    for (bool done = false; code == PX_OK && !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event))
            return refuse_syntax(r);
        code = take_event(r, &event, &done);
        yaml_event_delete(&event);
    }
    return code;
}

enum px_code px_yaml_parse(struct px_str text, struct px_arena *arena,
                           const struct px_yaml **ret_root, struct px_err *err)
{
    static const struct px_yaml empty = {.type = PX_YAML_MAPPING, .line = 1, .column = 1};
    struct reader reader = {.arena = arena, .err = err};
    if (!yaml_parser_initialize(&reader.parser))
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to read YAML");
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    enum px_code code = read_events(&reader);
    yaml_parser_delete(&reader.parser);
    if (code == PX_OK)
        *ret_root = reader.root && !px_yaml_is_null(reader.root) ? reader.root : &empty;
    return code;
}

const struct px_yaml *px_yaml_get(const struct px_yaml *mapping, const char *key)
{
    struct px_str wanted = px_str(key);
    for (const struct px_yaml *child = mapping->first_child; child; child = child->next) {
        if (px_str_eq(child->key, wanted))
            return child;
    }
    return NULL;
}

/* ---- typed reads ---- */

static const char *const type_names[] = {
    [PX_YAML_SCALAR] = "a scalar",
    [PX_YAML_SEQUENCE] = "a list",
    [PX_YAML_MAPPING] = "a mapping",
};

static enum px_code wrong_type(const struct px_yaml *node, const char *expected, struct px_err *err)
{
    const char *key = node->key.ptr ? node->key.ptr : "value";
    if (node->type != PX_YAML_SCALAR)
        return px_err_set(err, PX_E_INVALID, "line %u: %s: expected %s, got %s", node->line, key,
                          expected, type_names[node->type]);
    return px_err_set(err, PX_E_INVALID, "line %u: %s: expected %s, got '%.*s'", node->line, key,
                      expected, PX_STR_ARG(node->text));
}

enum px_code px_yaml_str(const struct px_yaml *node, struct px_str *ret, struct px_err *err)
{
    if (node->type != PX_YAML_SCALAR || px_yaml_is_null(node))
        return wrong_type(node, "text", err);
    *ret = node->text;
    return PX_OK;
}

enum px_code px_yaml_i64(const struct px_yaml *node, int64_t *ret, struct px_err *err)
{
    if (node->type != PX_YAML_SCALAR || node->quoted || !px_str_to_i64(node->text, ret))
        return wrong_type(node, "a whole number", err);
    return PX_OK;
}

enum px_code px_yaml_f64(const struct px_yaml *node, double *ret, struct px_err *err)
{
    if (node->type != PX_YAML_SCALAR || node->quoted || !px_str_to_f64(node->text, ret))
        return wrong_type(node, "a number", err);
    return PX_OK;
}

/* The words that YAML 1.1 reads as a boolean; -1 when `text` is none of them. */
static int bool_word(struct px_str text)
{
    static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"off", "on"}};
    for (size_t i = 0; i < PX_ARRAY_LEN(words); i++) {
        for (int value = 0; value < 2; value++) {
            if (px_str_eq_nocase(text, px_str(words[i][value])))
                return value;
        }
    }
    return -1;
}

enum px_code px_yaml_bool(const struct px_yaml *node, bool *ret, struct px_err *err)
{
    int value = node->type == PX_YAML_SCALAR && !node->quoted ? bool_word(node->text) : -1;
    if (value < 0)
        return wrong_type(node, "true or false", err);
    *ret = value;
    return PX_OK;
}

static bool is_null_word(struct px_str text)
{
    return text.len == 0 || px_str_is(text, "~") || px_str_eq_nocase(text, px_str("null"));
}

bool px_yaml_is_null(const struct px_yaml *node)
{
    return node->type == PX_YAML_SCALAR && !node->quoted && is_null_word(node->text);
}

enum px_code px_yaml_only(const struct px_yaml *mapping, const struct px_str *known, size_t n_known,
                          struct px_err *err)
{
    if (mapping->type != PX_YAML_MAPPING)
        return wrong_type(mapping, "a mapping", err);
    for (const struct px_yaml *child = mapping->first_child; child; child = child->next) {
        size_t i = 0;
        while (i < n_known && !px_str_eq(child->key, known[i]))
            i++;
        if (i < n_known)
            continue;
        long nearest = px_str_nearest(child->key, known, n_known);
        px_err_set(err, PX_E_UNKNOWN_OPTION, "line %u: unknown key '%.*s'", child->line,
                   PX_STR_ARG(child->key));
        return nearest < 0 ? PX_E_UNKNOWN_OPTION
                           : px_err_hint(err, "did you mean '%.*s'?", PX_STR_ARG(known[nearest]));
    }
    return PX_OK;
}

/* ---- writing ---- */

static bool is_plain_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/';
}

/* Would the plain text read back as this very text? Everything doubtful is quoted. */
static bool is_plain(struct px_str s)
{
    double number;
    if (is_null_word(s) || bool_word(s) >= 0 || px_str_to_f64(s, &number) || s.ptr[0] == '-' ||
        s.ptr[0] == '.' || px_str_eq_nocase(s, px_str("y")) || px_str_eq_nocase(s, px_str("n")))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_plain_byte(s.ptr[i]))
            return false;
    }
    return s.ptr[0] < '0' || s.ptr[0] > '9';
}

void px_yaml_put(struct px_buf *buf, struct px_str scalar)
{
    if (is_plain(scalar)) {
        px_buf_str(buf, scalar);
        return;
    }
    px_buf_byte(buf, '"');
    for (size_t i = 0; i < scalar.len; i++) {
        unsigned char c = (unsigned char)scalar.ptr[i];
        if (c == '"' || c == '\\')
            px_buf_printf(buf, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            px_buf_printf(buf, "\\x%02x", c);
        else
            px_buf_byte(buf, (char)c);
    }
    px_buf_byte(buf, '"');
}
