/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "shared/alloc.h"
#include "shared/rng.h"
#include "shared/yaml.h"

static struct px_arena arena;
static struct px_err err;

static const struct px_yaml *parse_n(const char *text, size_t len)
{
    const struct px_yaml *root = NULL;
    px_arena_deinit(&arena);
    arena = px_arena(1 << 20);
    memset(&err, 0, sizeof err);
    enum px_code code = px_yaml_parse(px_str_n(text, len), &arena, &root, &err);
    CHECK((code == PX_OK) == (root != NULL));
    return root;
}

static const struct px_yaml *parse(const char *text)
{
    return parse_n(text, strlen(text));
}

/* The value of "k: ..." */
static const struct px_yaml *value_of(const char *text)
{
    char document[256];
    snprintf(document, sizeof document, "k: %s\n", text);
    const struct px_yaml *root = parse(document);
    CHECK(root);
    return px_yaml_get(root, "k");
}

PX_TEST(builds_the_tree)
{
    const struct px_yaml *root = parse("server:\n  port: 8080 # a comment\n  hosts: [a, 'b c']\n"
                                       "name: \"x\\ty\"\ntext: |\n  two\n  lines\nempty:\n");
    CHECK(root);
    CHECK_INT(root->type, PX_YAML_MAPPING);
    CHECK_INT(root->n_children, 4);
    const struct px_yaml *server = px_yaml_get(root, "server");
    CHECK_STR(server->key, "server");
    CHECK_INT(server->key_line, 1);
    CHECK_INT(server->line, 2);
    const struct px_yaml *port = px_yaml_get(server, "port");
    CHECK_STR(port->text, "8080");
    CHECK(!port->quoted);
    CHECK_INT(port->line, 2);
    CHECK_INT(port->column, 9);
    CHECK_INT(port->key_column, 3);
    const struct px_yaml *hosts = px_yaml_get(server, "hosts");
    CHECK_INT(hosts->type, PX_YAML_SEQUENCE);
    CHECK_INT(hosts->n_children, 2);
    CHECK_STR(hosts->first_child->text, "a");
    CHECK_STR(hosts->first_child->next->text, "b c");
    CHECK(hosts->first_child->next->quoted);
    CHECK(!hosts->first_child->key.ptr);
    CHECK_STR(px_yaml_get(root, "name")->text, "x\ty");
    CHECK_STR(px_yaml_get(root, "text")->text, "two\nlines\n");
    CHECK(px_yaml_is_null(px_yaml_get(root, "empty")));
    CHECK(!px_yaml_get(root, "absent"));
    CHECK(!px_yaml_get(port, "anything"));
    CHECK(!px_yaml_is_null(NULL));
}

PX_TEST(empty_documents_are_empty_mappings)
{
    static const char *const texts[] = {"",      "\n",      "# only a comment\n",
                                        "---\n", "--- ~\n", "---\n...\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct px_yaml *root = parse(texts[i]);
        CHECK(root);
        CHECK_INT(root->type, PX_YAML_MAPPING);
        CHECK_INT(root->n_children, 0);
    }
    CHECK_INT(parse("[1, 2]")->type, PX_YAML_SEQUENCE);
    CHECK_INT(parse("word")->type, PX_YAML_SCALAR);
    CHECK(parse_n(NULL, 0));
}

PX_TEST(surprises_are_refused_by_name)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"a: &x 1\nb: *x\n", "line 1 column 4: the anchor '&x'"},
        {"a: 1\nb: *x\n", "line 2 column 4: an alias"},
        {"a: !!str 1\n", "the tag '!tag:yaml.org,2002:str'"},
        {"a: &x [1]\n", "the anchor '&x'"},
        {"a: !t {b: 1}\n", "the tag '!!t'"},
        {"a: &y {b: 1}\n", "the anchor '&y'"},
        {"a: 1\nb: 2\na: 3\n", "line 3 column 1: the key 'a' is already on line 1"},
        {"a: {x: 1, x: 2}\n", "the key 'x' is already"},
        {"a: 1\n---\nb: 2\n", "line 2 column 1: a second document"},
        {"<<: {a: 1}\n", "merge key"},
        {"? [a, b]\n: 1\n", "expected a key of plain text"},
        {"a: [1, 2\n", "line 2 column 1: did not find expected ',' or ']'"},
        {"a: b: c\n", "line 1 column 5: mapping values are not allowed"},
        {"a:\n\t- 1\n", "line 2 column 1: found character that cannot start any token"},
        {"a: \"x\n", "unexpected end of stream"},
        {"a: 1\nb: \xFF\n", "line 2 column 4: "},
        {"a: 1\nb: \x01\n", "line 2 column 4: control characters are not allowed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CHECK(!parse(rows[i].text));
        CHECK_INT(err.code, PX_E_INVALID);
        CHECK_CONTAINS(err.message, rows[i].message);
    }
}

PX_TEST(limits)
{
    struct px_buf text = px_buf(1 << 20);
    for (int i = 0; i < PX_YAML_DEPTH_MAX; i++)
        px_buf_byte(&text, '[');
    for (int i = 0; i < PX_YAML_DEPTH_MAX; i++)
        px_buf_byte(&text, ']');
    CHECK(parse(text.ptr));
    px_buf_clear(&text);
    for (int i = 0; i < 100000; i++)
        px_buf_byte(&text, '[');
    CHECK(!parse(text.ptr));
    CHECK_CONTAINS(err.message, "nested too deeply");
    const struct px_yaml *root;
    struct px_arena large = px_arena((size_t)1 << 30), small = px_arena(100);
    px_buf_deinit(&text);
    text = px_buf(4 * PX_YAML_NODES_MAX);
    px_buf_byte(&text, '[');
    for (int i = 0; i < PX_YAML_NODES_MAX; i++)
        px_buf_text(&text, "1,");
    px_buf_byte(&text, ']');
    CHECK_INT(px_yaml_parse(px_buf_view(&text), &large, &root, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "too many values");
    px_arena_deinit(&large);
    px_buf_deinit(&text);
    CHECK_INT(px_yaml_parse(px_str("a: 1\nb: 2\n"), &small, &root, &err), PX_E_TOO_LARGE);
    px_arena_deinit(&small);
}

PX_TEST(many_keys_are_checked_in_linear_time)
{
    struct px_buf text = px_buf(1 << 20);
    for (int i = 0; i < 4000; i++)
        px_buf_printf(&text, "key%d: %d\n", i, i);
    CHECK_INT(parse_n(text.ptr, text.len)->n_children, 4000);
    px_buf_text(&text, "key77: again\n");
    CHECK(!parse_n(text.ptr, text.len));
    CHECK_CONTAINS(err.message, "line 4001 column 1: the key 'key77' is already on line 78");
    px_buf_deinit(&text);
}

PX_TEST(reads_integers)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0}, {"-7", -7}, {"+7", 7}, {"9223372036854775807", INT64_MAX}};
    int64_t value;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CHECK_OK(px_yaml_i64(value_of(good[i].text), &value, &err));
        CHECK_INT(value, good[i].value);
    }
    static const char *const bad[] = {"1.5",   "ten",  "'7'", "010", "0x10",
                                      "1_000", "1:30", "~",   "[1]", "9223372036854775808",
                                      "1e3",   "-08"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(px_yaml_i64(value_of(bad[i]), &value, &err), PX_E_INVALID);
    CHECK_INT(px_yaml_i64(NULL, &value, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "expected a whole number, got nothing");
}

PX_TEST(reads_text)
{
    struct px_str text;
    CHECK_OK(px_yaml_str(value_of("no"), &text, &err));
    CHECK_STR(text, "no");
    CHECK_OK(px_yaml_str(value_of("''"), &text, &err));
    CHECK_STR(text, "");
    CHECK_INT(px_yaml_str(value_of("[a]"), &text, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "line 1 column 4: k: expected text, got a list");
    CHECK_INT(px_yaml_str(value_of("~"), &text, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "k: expected text, got nothing");
    CHECK(!px_yaml_is_null(value_of("''")));
    CHECK(px_yaml_is_null(value_of("Null")));
}

PX_TEST(errors_of_typed_reads)
{
    int64_t value;
    const struct px_yaml *root = parse("a:\n  b: eight\n");
    const struct px_yaml *node = px_yaml_get(px_yaml_get(root, "a"), "b");
    CHECK_INT(px_yaml_i64(node, &value, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "line 2 column 6: b: expected a whole number, got 'eight'");
    (void)!px_yaml_i64(value_of("'8'"), &value, &err);
    CHECK_CONTAINS(err.message, "got the quoted text '8'");
    (void)!px_yaml_i64(value_of("{a: 1}"), &value, &err);
    CHECK_CONTAINS(err.message, "got a mapping");
}

PX_TEST(unknown_keys_name_the_nearest)
{
    static const struct px_str known[] = {PX_STR("port"), PX_STR("host")};
    const struct px_yaml *root = parse("host: x\nprot:\n  deep: 1\n");
    CHECK_INT(px_yaml_only(root, known, 2, &err), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.message, "line 2 column 1: unknown key 'prot'");
    CHECK_CONTAINS(err.hint, "did you mean 'port'?");
    CHECK_INT(px_yaml_only(parse("zzzzzz: 1\n"), known, 2, &err), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.hint, "known keys: port, host");
    CHECK_OK(px_yaml_only(parse("port: 1\n"), known, 2, &err));
    CHECK_INT(px_yaml_only(parse("[port]"), known, 2, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "expected a mapping, got a list");
}

static void check_put(const char *bytes, size_t len)
{
    struct px_buf buf = px_buf(4096);
    px_buf_text(&buf, "k: ");
    px_yaml_put(&buf, px_str_n(bytes, len));
    px_buf_text(&buf, "\nl: [");
    px_yaml_put(&buf, px_str_n(bytes, len));
    px_buf_text(&buf, "]\n");
    const struct px_yaml *root = parse_n(buf.ptr, buf.len);
    if (!root)
        fprintf(stderr, "%s: %s", err.message, buf.ptr);
    CHECK(root);
    const struct px_yaml *node = px_yaml_get(root, "k"),
                         *item = px_yaml_get(root, "l")->first_child;
    int64_t i;
    CHECK(node->type == PX_YAML_SCALAR && !px_yaml_is_null(node));
    CHECK(px_yaml_i64(node, &i, NULL) != PX_OK);
    if (px_str_is_utf8(px_str_n(bytes, len))) {
        CHECK(px_str_eq(node->text, px_str_n(bytes, len)));
        CHECK(px_str_eq(item->text, px_str_n(bytes, len)));
    }
    px_buf_deinit(&buf);
}

PX_TEST(what_is_written_reads_back_as_text)
{
    static const char *const texts[] = {
        "",
        "plain",
        "two words",
        "true",
        "No",
        "null",
        "~",
        "1",
        "1.5",
        "0x1F",
        "1e5",
        ".inf",
        ".nan",
        "-",
        "- a",
        "a: b",
        "a #b",
        "#a",
        "'",
        "\"",
        "a\\b",
        "line\nbreak",
        "tab\there",
        " lead",
        "trail ",
        "[a]",
        "{a}",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "?",
        ":",
        "a:",
        "---",
        "...",
        "\xC3\xA9t\xC3\xA9",
        "\x7F",
        "\xC2\x85",
        "\xE2\x80\xA8",
        "\xEF\xBB\xBF",
        "\xF0\x9F\x98\x80",
        "\x1B",
        "2026-01-31",
        "1:30",
        "y",
        "N",
        "<<",
        "=",
        "/a/b.c",
        "on",
        "a,b",
        "\xFF",
        "a\xC3",
        "_x",
        "\r\n",
        "\xEF\xBF\xBF",
        "\xC2\x80",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_put(texts[i], strlen(texts[i]));
    struct px_rng rng = px_rng(11);
    for (int round = 0; round < 2000; round++) {
        char bytes[16];
        size_t n = (size_t)px_rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)px_rng_below(&rng, round % 2 ? 256 : 128);
        check_put(bytes, n);
    }
}

PX_TEST(plain_text_stays_plain)
{
    static const char *const texts[] = {"age", "binary logistic", "a_b-c.d", "/tmp/x", "V1", "_id"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct px_buf buf = px_buf(100);
        px_yaml_put(&buf, px_str(texts[i]));
        CHECK_STR(px_buf_view(&buf), texts[i]);
        px_buf_deinit(&buf);
    }
}

PX_TEST(allocation_failures_are_errors)
{
    enum { SWEEP = 40 };
    int failures = 0;
    struct px_buf text = px_buf(1 << 16);
    for (int i = 0; i < 100; i++)
        px_buf_printf(&text, "key%d: {a: [x, y], b: text%d}\n", i, i);
    for (uint64_t n = 1; n < SWEEP; n++) {
        struct px_arena fresh = px_arena(1 << 20);
        const struct px_yaml *root = NULL;
        px_alloc_fail_at(n);
        enum px_code code = px_yaml_parse(px_buf_view(&text), &fresh, &root, &err);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY || code == PX_E_TOO_LARGE);
        failures += code != PX_OK;
        px_arena_deinit(&fresh);
    }
    CHECK_INT(failures, SWEEP - 1);
    px_buf_deinit(&text);
}

PX_TEST(quotes_texts_that_other_readers_take_for_values)
{
    static const char *const words[] = {"true", "No",   "OFF",  "null",  "~",    "",
                                        "1",    "-1.5", "1e3",  ".5",    ".inf", "-.Inf",
                                        ".nan", "0x1F", "0o17", "1_000", "1:30", "2026-01-31"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct px_buf buf = px_buf(100);
        px_yaml_put(&buf, px_str(words[i]));
        CHECK_INT(buf.ptr[0], '"');
        px_buf_deinit(&buf);
    }
}

PX_TEST_MAIN(T(quotes_texts_that_other_readers_take_for_values) T(builds_the_tree)
                 T(empty_documents_are_empty_mappings) T(surprises_are_refused_by_name) T(limits)
                     T(many_keys_are_checked_in_linear_time) T(reads_integers) T(reads_text)
                         T(errors_of_typed_reads) T(unknown_keys_name_the_nearest)
                             T(what_is_written_reads_back_as_text) T(plain_text_stays_plain)
                                 T(allocation_failures_are_errors))
