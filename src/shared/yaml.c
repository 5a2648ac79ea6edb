/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml turns the text into events; this file turns the events into a tree and refuses what makes a
 * configuration surprising. The tree keeps scalars as text: what they mean (a number, a truth value)
 * depends on what the reader of the key expects, so "no" for a country stays "no".
 *
 * Rejected: libyaml's own document tree, which resolves aliases and tags silently and keeps the last of
 * two equal keys.
 */
#include "shared/yaml.h"

#include "shared/map.h"
#include "shared/number.h"

#include <math.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    struct px_str text;
    struct px_arena *arena;
    size_t n_nodes;
    unsigned depth;
    struct px_err *err;
};

static struct px_str text_of(const yaml_char_t *bytes, size_t len)
{
    return px_str_n((const char *)bytes, len);
}

static enum px_code fail_event(struct reader *reader, const yaml_event_t *event, const char *what)
{
    return px_err_set(reader->err, PX_E_INVALID, "line %zu column %zu: %s",
                      event->start_mark.line + 1, event->start_mark.column + 1, what);
}

/* The text is not UTF-8, or has control bytes; libyaml knows the byte only. */
static enum px_code fail_bytes(struct reader *reader, size_t offset, const char *problem)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset && i < reader->text.len; i++) {
        column = reader->text.ptr[i] == '\n' ? 1 : column + 1;
        line += reader->text.ptr[i] == '\n';
    }
    return px_err_set(reader->err, PX_E_INVALID, "line %zu column %zu: %s", line, column, problem);
}

/* libyaml's account of what it stumbled over. */
static enum px_code fail_parser(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "unreadable text";
    if (parser->error == YAML_MEMORY_ERROR)
        return px_err_set(reader->err, PX_E_NO_MEMORY, "no memory to parse YAML");
    if (parser->error == YAML_READER_ERROR)
        return fail_bytes(reader, parser->problem_offset, problem);
    return px_err_set(reader->err, PX_E_INVALID, "line %zu column %zu: %s%s%s",
                      parser->problem_mark.line + 1, parser->problem_mark.column + 1, problem,
                      parser->context ? ", " : "", parser->context ? parser->context : "");
}

static enum px_code fail_memory(struct reader *reader)
{
    enum px_code code = px_arena_check(reader->arena, "this YAML", reader->err);
    PX_ASSERT(code != PX_OK);
    return code;
}

/* The next event, which the caller deletes. */
static enum px_code next_event(struct reader *reader, yaml_event_t *event)
{
    return yaml_parser_parse(&reader->parser, event) ? PX_OK : fail_parser(reader);
}

/* ---- the tree ---- */

static enum px_code read_children(struct reader *reader, struct px_yaml *parent);

static enum px_code refuse_extras(struct reader *reader, const yaml_event_t *event,
                                  const yaml_char_t *anchor, const yaml_char_t *tag)
{
    char what[96];
    if (!anchor && !tag)
        return PX_OK;
    snprintf(what, sizeof what, "%s '%c%.40s' is not supported; write the value out",
             anchor ? "the anchor" : "the tag", anchor ? '&' : '!',
             (const char *)(anchor ? anchor : tag));
    return fail_event(reader, event, what);
}

static enum px_code fill_scalar(struct reader *reader, const yaml_event_t *event,
                                struct px_yaml *node)
{
    enum px_code code =
        refuse_extras(reader, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (code != PX_OK)
        return code;
    node->type = PX_YAML_SCALAR;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text =
        px_arena_str(reader->arena, text_of(event->data.scalar.value, event->data.scalar.length));
    return node->text.ptr ? PX_OK : fail_memory(reader);
}

static enum px_code fill_collection(struct reader *reader, const yaml_event_t *event,
                                    struct px_yaml *node)
{
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    enum px_code code = mapping ? refuse_extras(reader, event, event->data.mapping_start.anchor,
                                                event->data.mapping_start.tag)
                                : refuse_extras(reader, event, event->data.sequence_start.anchor,
                                                event->data.sequence_start.tag);
    if (code != PX_OK)
        return code;
    if (reader->depth == PX_YAML_DEPTH_MAX)
        return fail_event(reader, event, "nested too deeply");
    node->type = mapping ? PX_YAML_MAPPING : PX_YAML_SEQUENCE;
    reader->depth++;
    code = read_children(reader, node);
    reader->depth--;
    return code;
}

/* Makes the node that `event` starts, with all below it. Recursion is bounded by PX_YAML_DEPTH_MAX. */
static enum px_code read_node(struct reader *reader, const yaml_event_t *event,
                              struct px_yaml **ret_node)
{
    if (event->type == YAML_ALIAS_EVENT)
        return fail_event(reader, event,
                          "an alias ('*name') is not supported; write the value out");
    if (reader->n_nodes++ == PX_YAML_NODES_MAX)
        return fail_event(reader, event, "too many values");
    struct px_yaml *node = px_arena_zalloc(reader->arena, 1, sizeof *node);
    if (!node)
        return fail_memory(reader);
    node->line = (unsigned)event->start_mark.line + 1;
    node->column = (unsigned)event->start_mark.column + 1;
    *ret_node = node;
    if (event->type == YAML_SCALAR_EVENT)
        return fill_scalar(reader, event, node);
    return fill_collection(reader, event, node);
}

static enum px_code check_key(struct reader *reader, const yaml_event_t *event, struct px_map *keys,
                              struct px_str key)
{
    char what[96];
    size_t line;
    if (px_str_is(key, "<<") && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return fail_event(reader, event, "the merge key '<<' is not supported; write the keys out");
    if (px_map_get(keys, key, &line)) {
        snprintf(what, sizeof what, "the key '%.*s' is already on line %zu",
                 (int)(key.len < 40 ? key.len : 40), key.ptr, line);
        return fail_event(reader, event, what);
    }
    return px_map_put(keys, key, event->start_mark.line + 1, reader->err);
}

/* The entry of a mapping whose key `event` holds. */
static enum px_code read_entry(struct reader *reader, const yaml_event_t *event,
                               struct px_map *keys, struct px_yaml **ret_node)
{
    if (event->type != YAML_SCALAR_EVENT)
        return fail_event(reader, event, "expected a key of plain text");
    struct px_yaml key = {.type = PX_YAML_SCALAR};
    yaml_event_t value;
    enum px_code code = fill_scalar(reader, event, &key);
    if (code == PX_OK)
        code = check_key(reader, event, keys, key.text);
    if (code == PX_OK)
        code = next_event(reader, &value);
    if (code != PX_OK)
        return code;
    code = read_node(reader, &value, ret_node);
    yaml_event_delete(&value);
    if (code != PX_OK)
        return code;
    (*ret_node)->key = key.text;
    (*ret_node)->key_line = (unsigned)event->start_mark.line + 1;
    (*ret_node)->key_column = (unsigned)event->start_mark.column + 1;
    return PX_OK;
}

/* Reads up to the end event of `parent`. */
static enum px_code read_children(struct reader *reader, struct px_yaml *parent)
{
    struct px_map keys = {0};
    struct px_yaml *last = NULL, *node = NULL;
    enum px_code code;
    for (;;) {
        yaml_event_t event;
        code = next_event(reader, &event);
        if (code != PX_OK)
            break;
        bool end = event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
        if (!end)
            code = parent->type == PX_YAML_MAPPING ? read_entry(reader, &event, &keys, &node)
                                                   : read_node(reader, &event, &node);
        yaml_event_delete(&event);
        if (end || code != PX_OK)
            break;
        if (last)
            last->next = node;
        else
            parent->first_child = node;
        last = node;
        parent->n_children++;
    }
    px_map_deinit(&keys);
    return code;
}

/* ---- the document ---- */

/* Skips events that frame the document; leaves the first of another type in `event`. */
static enum px_code first_content(struct reader *reader, yaml_event_t *event)
{
    for (;;) {
        enum px_code code = next_event(reader, event);
        if (code != PX_OK)
            return code;
        if (event->type != YAML_STREAM_START_EVENT && event->type != YAML_DOCUMENT_START_EVENT)
            return PX_OK;
        yaml_event_delete(event);
    }
}

/* After the document's end event: nothing else may come. */
static enum px_code expect_stream_end(struct reader *reader)
{
    for (;;) {
        yaml_event_t event;
        enum px_code code = next_event(reader, &event);
        if (code != PX_OK)
            return code;
        bool end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT)
            code = fail_event(reader, &event, "a second document starts here; only one is allowed");
        yaml_event_delete(&event);
        if (end || code != PX_OK)
            return code;
    }
}

static enum px_code read_document(struct reader *reader, struct px_yaml **ret_root)
{
    yaml_event_t event;
    enum px_code code = first_content(reader, &event);
    if (code != PX_OK)
        return code;
    bool empty = event.type == YAML_STREAM_END_EVENT;
    if (!empty)
        code = read_node(reader, &event, ret_root);
    yaml_event_delete(&event);
    if (code == PX_OK && !empty)
        code = expect_stream_end(reader);
    if (code != PX_OK || (!empty && !px_yaml_is_null(*ret_root)))
        return code;
    *ret_root = px_arena_zalloc(reader->arena, 1, sizeof **ret_root);
    if (!*ret_root)
        return fail_memory(reader);
    **ret_root = (struct px_yaml){.type = PX_YAML_MAPPING, .line = 1, .column = 1};
    return PX_OK;
}

enum px_code px_yaml_parse(struct px_str text, struct px_arena *arena,
                           const struct px_yaml **ret_root, struct px_err *err)
{
    struct reader reader = {.text = text, .arena = arena, .err = err};
    struct px_yaml *root = NULL;
    if (!yaml_parser_initialize(&reader.parser))
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to parse YAML");
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    enum px_code code = read_document(&reader, &root);
    yaml_parser_delete(&reader.parser);
    if (code == PX_OK)
        *ret_root = root;
    return code;
}

/* ---- reading the tree ---- */

const struct px_yaml *px_yaml_get(const struct px_yaml *mapping, const char *key)
{
    if (mapping->type != PX_YAML_MAPPING)
        return NULL;
    for (const struct px_yaml *node = mapping->first_child; node; node = node->next) {
        if (px_str_is(node->key, key))
            return node;
    }
    return NULL;
}

static bool is_word(struct px_str text, const char *const *words)
{
    for (; *words; words++) {
        if (px_str_eq_nocase(text, px_str(*words)))
            return true;
    }
    return false;
}

static const char *const null_words[] = {"", "~", "null", NULL};
static const char *const true_words[] = {"true", "yes", "on", NULL};
static const char *const false_words[] = {"false", "no", "off", NULL};

bool px_yaml_is_null(const struct px_yaml *node)
{
    return node && node->type == PX_YAML_SCALAR && !node->quoted && is_word(node->text, null_words);
}

static enum px_code fail_expected(const struct px_yaml *node, const char *expected,
                                  struct px_err *err)
{
    if (!node)
        return px_err_set(err, PX_E_INVALID, "expected %s, got nothing", expected);
    char got[96];
    if (node->type != PX_YAML_SCALAR)
        snprintf(got, sizeof got, "%s", node->type == PX_YAML_MAPPING ? "a mapping" : "a list");
    else if (px_yaml_is_null(node))
        snprintf(got, sizeof got, "nothing");
    else
        snprintf(got, sizeof got, "%s'%.*s'", node->quoted ? "the quoted text " : "",
                 (int)(node->text.len < 60 ? node->text.len : 60), node->text.ptr);
    return px_err_set(err, PX_E_INVALID, "line %u column %u: %.*s%sexpected %s, got %s", node->line,
                      node->column, PX_STR_ARG(node->key), node->key.len ? ": " : "", expected,
                      got);
}

enum px_code px_yaml_str(const struct px_yaml *node, struct px_str *ret, struct px_err *err)
{
    if (!node || node->type != PX_YAML_SCALAR || px_yaml_is_null(node))
        return fail_expected(node, "text", err);
    *ret = node->text;
    return PX_OK;
}

static bool is_plain_scalar(const struct px_yaml *node)
{
    return node && node->type == PX_YAML_SCALAR && !node->quoted;
}

/* YAML 1.1 reads 010 as octal, people and YAML 1.2 as ten: refused. */
static bool has_leading_zero(struct px_str text)
{
    size_t at = text.len && (text.ptr[0] == '-' || text.ptr[0] == '+');
    return text.len > at + 1 && text.ptr[at] == '0' && text.ptr[at + 1] >= '0' &&
           text.ptr[at + 1] <= '9';
}

enum px_code px_yaml_i64(const struct px_yaml *node, int64_t *ret, struct px_err *err)
{
    int64_t value;
    if (!is_plain_scalar(node) || has_leading_zero(node->text) ||
        !px_str_to_i64(node->text, &value))
        return fail_expected(node, "a whole number", err);
    *ret = value;
    return PX_OK;
}

static enum px_code fail_unknown(const struct px_yaml *node, const struct px_str *known,
                                 size_t n_known, struct px_err *err)
{
    px_err_set(err, PX_E_UNKNOWN_OPTION, "line %u column %u: unknown key '%.*s'", node->key_line,
               node->key_column, PX_STR_ARG(node->key));
    if (px_err_suggest(err, node->key, known, n_known))
        return PX_E_UNKNOWN_OPTION;
    char list[PX_ERR_HINT_MAX] = "";
    const size_t most = sizeof list - sizeof "known keys: , ...";
    size_t at = 0, i = 0;
    for (; i < n_known && at + known[i].len + 2 < most; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%.*s", i ? ", " : "",
                               PX_STR_ARG(known[i]));
    px_err_hint(err, "known keys: %s%s", list, i < n_known ? ", ..." : "");
    return PX_E_UNKNOWN_OPTION;
}

enum px_code px_yaml_only(const struct px_yaml *mapping, const struct px_str *known, size_t n_known,
                          struct px_err *err)
{
    if (mapping->type != PX_YAML_MAPPING)
        return fail_expected(mapping, "a mapping", err);
    for (const struct px_yaml *node = mapping->first_child; node; node = node->next) {
        size_t i = 0;
        while (i < n_known && !px_str_eq(node->key, known[i]))
            i++;
        if (i == n_known)
            return fail_unknown(node, known, n_known, err);
    }
    return PX_OK;
}

/* ---- writing ---- */

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/*
 * Is the text the same with and without quotes? Only what surely is: words of letters, digits and a few
 * signs that mean nothing to YAML, single spaces between them, and that do not start like a number.
 */
static bool is_plain_text(struct px_str text)
{
    if (is_word(text, null_words) || is_word(text, true_words) || is_word(text, false_words))
        return false;
    if (px_str_eq_nocase(text, px_str("y")) || px_str_eq_nocase(text, px_str("n")))
        return false; /* truth values to some readers of YAML 1.1 */
    char first = text.ptr[0], last = text.ptr[text.len - 1];
    if (last == ' ' || !(first == '_' || first == '/' || (is_alnum(first) && first > '9')))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!is_alnum(c) && !(c && strchr(" _-./+@()=<>;", c)))
            return false;
    }
    return true;
}

/* May the well-formed character stand in double quotes as it is (YAML 1.1, section 5.1), on one line? */
static bool is_printable(struct px_str c)
{
    static const char *const refused[] = {"\xE2\x80\xA8", "\xE2\x80\xA9", "\xEF\xBB\xBF",
                                          "\xEF\xBF\xBE", "\xEF\xBF\xBF", NULL};
    if (c.len == 1)
        return c.ptr[0] >= 0x20 && c.ptr[0] < 0x7F && c.ptr[0] != '"' && c.ptr[0] != '\\';
    if (c.len == 2 && (unsigned char)c.ptr[0] == 0xC2) /* U+0080 to U+009F are controls */
        return (unsigned char)c.ptr[1] >= 0xA0;
    return !is_word(c, refused);
}

/* Escapes a character that is not printable; all of those have at most 3 bytes. */
static void put_escape(struct px_buf *buf, struct px_str c)
{
    unsigned code = (unsigned char)c.ptr[0];
    if (c.len > 1)
        code &= c.len == 2 ? 0x1F : 0x0F;
    for (size_t i = 1; i < c.len; i++)
        code = code << 6 | ((unsigned char)c.ptr[i] & 0x3F);
    if (code == '"' || code == '\\')
        px_buf_printf(buf, "\\%c", (int)code);
    else if (code == '\n' || code == '\t')
        px_buf_text(buf, code == '\n' ? "\\n" : "\\t");
    else
        px_buf_printf(buf, "\\u%04X", code);
}

void px_yaml_put(struct px_buf *buf, struct px_str scalar)
{
    if (scalar.len && is_plain_text(scalar)) {
        px_buf_str(buf, scalar);
        return;
    }
    px_buf_byte(buf, '"');
    while (scalar.len) {
        size_t valid = px_str_utf8_char(scalar), n = valid ? valid : 1;
        struct px_str c = px_str_n(scalar.ptr, n);
        if (!valid)
            px_buf_text(buf, "\xEF\xBF\xBD");
        else if (is_printable(c))
            px_buf_str(buf, c);
        else
            put_escape(buf, c);
        scalar = px_str_n(scalar.ptr + n, scalar.len - n);
    }
    px_buf_byte(buf, '"');
}
