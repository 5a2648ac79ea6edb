/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `cats` of XGBoost 3.1 and later: per feature what the category codes stand for, by position. Texts are
 * stored like an Arrow string column: all bytes in one list (as signed 8-bit integers) and the offsets
 * where each text starts and the last one ends. Whole numbers are stored as they are, with a type code.
 * A feature without categories has empty lists.
 */
#include "domain/forest/readers/xgboost/xgboost_file.h"

#include <inttypes.h>

struct encoding {
    struct px_ints offsets, values;
    bool texts;
};

static void read_offsets(struct px_doc *doc, void *target)
{
    struct encoding *encoding = target;
    px_doc_ints(doc, &encoding->offsets);
    encoding->texts = true;
}

static void read_encoding(struct px_doc *doc, struct encoding *encoding)
{
    const struct px_doc_field fields[] = {
        {"offsets", read_offsets, encoding},
        {"values", px_doc_read_ints, &encoding->values},
    };
    encoding->offsets.len = encoding->values.len = 0;
    encoding->texts = false;
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static struct px_str format_integer(struct px_arena *arena, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return px_arena_str(arena, px_str(text));
}

/* Category `i` of a text encoding; its offsets were checked. */
static struct px_str copy_text(struct px_arena *arena, const struct encoding *encoding, size_t i)
{
    size_t start = (size_t)encoding->offsets.items[i];
    size_t len = (size_t)encoding->offsets.items[i + 1] - start;
    char *text = px_arena_alloc(arena, len + 1, 1);
    if (!text)
        return (struct px_str){0};
    for (size_t j = 0; j < len; j++)
        text[j] = (char)(encoding->values.items[start + j] & 0xFF);
    text[len] = '\0';
    return px_str_n(text, len);
}

static bool offsets_ascend(const struct encoding *encoding)
{
    int64_t last = 0;
    for (size_t i = 0; i < encoding->offsets.len; i++) {
        if (encoding->offsets.items[i] < last)
            return false;
        last = encoding->offsets.items[i];
    }
    return (uint64_t)last <= encoding->values.len;
}

static void add_feature(struct px_xgboost_file *file, const struct encoding *encoding,
                        struct px_category_names *ret)
{
    struct px_arena *arena = &file->ir->arena;
    size_t offsets = encoding->offsets.len ? encoding->offsets.len - 1 : 0;
    size_t n = encoding->texts ? offsets : encoding->values.len;
    if (encoding->texts && !offsets_ascend(encoding)) {
        file->code = px_err_set(file->err, PX_E_CORRUPT,
                                "cats, feature %zu: offsets do not ascend within the values",
                                file->n_categories);
        return;
    }
    *ret = (struct px_category_names){.names = px_arena_zalloc(arena, n, sizeof *ret->names)};
    for (size_t i = 0; ret->names && i < n; i++) {
        ret->names[i] = encoding->texts ? copy_text(arena, encoding, i)
                                        : format_integer(arena, encoding->values.items[i]);
        if (!ret->names[i].ptr)
            break;
        ret->n++;
    }
    if (ret->n != n || !ret->names)
        file->code = px_ir_no_memory(file->err);
}

static void read_encodings(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    PX_VEC(struct px_category_names) all = {0};
    struct encoding encoding = {0};
    px_doc_enter_array(doc);
    while (px_doc_next_element(doc)) {
        struct px_category_names *names = px_vec_push(&all);
        file->n_categories = all.len ? all.len - 1 : 0;
        read_encoding(doc, &encoding);
        if (!names)
            file->code = px_ir_no_memory(file->err);
        else if (!px_doc_failed(doc))
            add_feature(file, &encoding, names);
    }
    file->n_categories = all.len;
    file->categories = px_arena_zalloc(&file->ir->arena, all.len, sizeof *file->categories);
    if (file->categories && all.len)
        memcpy(file->categories, all.items, all.len * sizeof *all.items);
    else if (!file->categories && file->code == PX_OK)
        file->code = px_ir_no_memory(file->err);
    px_vec_free(&all);
    px_vec_free(&encoding.offsets);
    px_vec_free(&encoding.values);
}

void px_xgboost_read_categories(struct px_doc *doc, void *target)
{
    const struct px_doc_field fields[] = {{"enc", read_encodings, target}};
    if (px_doc_peek(doc) == PX_JSON_OBJECT)
        px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
    else
        px_doc_skip(doc);
}
