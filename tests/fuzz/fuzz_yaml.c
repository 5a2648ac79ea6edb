/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML: any text is a tree or an error with a place; what px_yaml_put writes reads back as that text.
 * The first bytes of the input are also taken as a text to write.
 */
#include "fuzz.h"

#include "shared/yaml.h"

enum { WRITTEN_MAX = 64 };

/* All reads of one node, and of all below it; returns how many nodes there are. */
static size_t read_tree(const struct px_yaml *node)
{
    struct px_err err;
    struct px_str text;
    int64_t i;
    PX_ASSERT(node->line > 0 && node->column > 0);
    enum px_code code = px_yaml_str(node, &text, &err);
    PX_ASSERT((code == PX_OK) == (node->type == PX_YAML_SCALAR && !px_yaml_is_null(node)));
    if (px_yaml_i64(node, &i, &err) == PX_OK)
        PX_ASSERT(code == PX_OK && !node->quoted);
    (void)!px_yaml_only(node, NULL, 0, &err);
    size_t n = 0, nodes = 1;
    for (const struct px_yaml *child = node->first_child; child; child = child->next, n++)
        nodes += read_tree(child);
    PX_ASSERT(n == node->n_children);
    return nodes;
}

static void check_written(struct px_str text)
{
    struct px_buf out = px_buf(1 << 16);
    struct px_arena arena = px_arena(1 << 20);
    const struct px_yaml *root;
    px_buf_text(&out, "key: ");
    px_yaml_put(&out, text);
    PX_ASSERT(!out.failed && px_str_find(px_buf_view(&out), '\n') == out.len);
    px_buf_byte(&out, '\n');
    enum px_code code = px_yaml_parse(px_buf_view(&out), &arena, &root, NULL);
    PX_ASSERT(code == PX_OK);
    const struct px_yaml *node = px_yaml_get(root, "key");
    PX_ASSERT(node && node->type == PX_YAML_SCALAR && !px_yaml_is_null(node));
    PX_ASSERT(!px_str_is_utf8(text) || px_str_eq(node->text, text));
    px_arena_deinit(&arena);
    px_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_str text = px_str_n((const char *)data, size);
    struct px_arena arena = px_arena(16 << 20);
    const struct px_yaml *root;
    struct px_err err;
    if (px_yaml_parse(text, &arena, &root, &err) == PX_OK)
        PX_ASSERT(read_tree(root) <= PX_YAML_NODES_MAX);
    px_arena_deinit(&arena);
    check_written(px_str_n(text.ptr, size < WRITTEN_MAX ? size : WRITTEN_MAX));
    return 0;
}
