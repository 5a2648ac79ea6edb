/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/readers/doc.h"

#include "shared/bits.h"

void px_doc_init(struct px_doc *doc, struct px_str bytes, bool binary, struct px_arena *arena)
{
    *doc = (struct px_doc){.binary = binary};
    if (binary)
        px_ubjson_init(&doc->ubjson, bytes);
    else
        px_json_init(&doc->json, bytes, arena, PX_JSON_NONFINITE);
}

enum px_json_type px_doc_peek(struct px_doc *doc)
{
    return doc->binary ? px_ubjson_peek(&doc->ubjson) : px_json_peek(&doc->json);
}

bool px_doc_enter_object(struct px_doc *doc)
{
    return doc->binary ? px_ubjson_enter_object(&doc->ubjson) : px_json_enter_object(&doc->json);
}

/* Walks end here: at a failure, or at a finding of the reader's own. */
static bool has_ended(const struct px_doc *doc)
{
    return px_doc_failed(doc) || (doc->finding && *doc->finding != PX_OK);
}

bool px_doc_next_key(struct px_doc *doc, struct px_str *ret_key)
{
    if (has_ended(doc))
        return false;
    return doc->binary ? px_ubjson_next_key(&doc->ubjson, ret_key)
                       : px_json_next_key(&doc->json, ret_key);
}

bool px_doc_enter_array(struct px_doc *doc)
{
    return doc->binary ? px_ubjson_enter_array(&doc->ubjson) : px_json_enter_array(&doc->json);
}

bool px_doc_next_element(struct px_doc *doc)
{
    if (has_ended(doc))
        return false;
    return doc->binary ? px_ubjson_next_element(&doc->ubjson) : px_json_next_element(&doc->json);
}

struct px_str px_doc_str(struct px_doc *doc)
{
    return doc->binary ? px_ubjson_str(&doc->ubjson) : px_json_str(&doc->json);
}

float px_doc_f32(struct px_doc *doc)
{
    return doc->binary ? px_ubjson_f32(&doc->ubjson) : px_json_f32(&doc->json);
}

double px_doc_f64(struct px_doc *doc)
{
    PX_ASSERT(!doc->binary);
    return px_json_f64(&doc->json);
}

bool px_doc_null(struct px_doc *doc)
{
    PX_ASSERT(!doc->binary);
    return px_json_null(&doc->json);
}

struct px_str px_doc_json_label(struct px_json *json)
{
    return px_json_peek(json) == PX_JSON_STRING ? px_json_str(json) : px_json_raw(json);
}

struct px_str px_doc_label(struct px_doc *doc)
{
    PX_ASSERT(!doc->binary);
    return px_doc_json_label(&doc->json);
}

int64_t px_doc_i64(struct px_doc *doc)
{
    if (px_doc_peek(doc) == PX_JSON_BOOL)
        return doc->binary ? px_ubjson_bool(&doc->ubjson) : px_json_bool(&doc->json);
    return doc->binary ? px_ubjson_i64(&doc->ubjson) : px_json_i64(&doc->json);
}

void px_doc_skip(struct px_doc *doc)
{
    if (doc->binary)
        px_ubjson_skip(&doc->ubjson);
    else
        px_json_skip(&doc->json);
}

int64_t px_doc_param(struct px_doc *doc)
{
    int64_t value = 0;
    if (px_doc_peek(doc) != PX_JSON_STRING)
        return px_doc_i64(doc);
    struct px_str text = px_doc_str(doc);
    if (!px_doc_failed(doc) && !px_str_to_i64(px_str_trim(text), &value))
        px_doc_fail(doc, "expected an integer in a string");
    return value;
}

bool px_doc_member(struct px_doc *doc, struct px_str key, const struct px_doc_field *fields,
                   size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (px_str_is(key, fields[i].key)) {
            fields[i].read(doc, fields[i].target);
            return true;
        }
    }
    return false;
}

void px_doc_object(struct px_doc *doc, const struct px_doc_field *fields, size_t n)
{
    struct px_str key;
    px_doc_enter_object(doc);
    while (px_doc_next_key(doc, &key)) {
        if (!px_doc_member(doc, key, fields, n))
            px_doc_skip(doc);
    }
}

void px_doc_list(struct px_doc *doc, void (*read)(struct px_doc *doc, void *target), void *target)
{
    if (px_doc_null(doc) || !px_doc_enter_array(doc))
        return;
    while (px_doc_next_element(doc))
        read(doc, target);
}

void px_doc_read_str(struct px_doc *doc, void *target)
{
    *(struct px_str *)target = px_doc_str(doc);
}

void px_doc_read_i64(struct px_doc *doc, void *target)
{
    *(int64_t *)target = px_doc_i64(doc);
}

void px_doc_read_f64(struct px_doc *doc, void *target)
{
    *(double *)target = px_doc_f64(doc);
}

void px_doc_read_single(struct px_doc *doc, void *target)
{
    *(float *)target = (float)px_doc_f64(doc);
}

void px_doc_read_bool(struct px_doc *doc, void *target)
{
    *(bool *)target = px_doc_i64(doc) != 0;
}

void px_doc_read_param(struct px_doc *doc, void *target)
{
    *(int64_t *)target = px_doc_param(doc);
}

void px_doc_read_ints(struct px_doc *doc, void *target)
{
    px_doc_ints(doc, target);
}

void px_doc_read_floats(struct px_doc *doc, void *target)
{
    px_doc_floats(doc, target);
}

static uint32_t big_endian_32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Blocks of the types that XGBoost writes for trees are converted without a call per element. False when the
 * array, which was just entered, is none. */
static bool take_typed_floats(struct px_doc *doc, struct px_floats *ret)
{
    size_t n;
    const unsigned char *values = px_ubjson_take_typed(&doc->ubjson, 'd', &n);
    if (!values)
        return false;
    doc->no_memory |= !px_vec_reserve(ret, n);
    for (size_t i = 0; !doc->no_memory && i < n; i++)
        ret->items[i] = px_f32_of_bits(big_endian_32(values + 4 * i));
    ret->len = doc->no_memory ? 0 : n;
    return true;
}

static bool take_typed_ints(struct px_doc *doc, struct px_ints *ret)
{
    size_t n;
    const unsigned char *words = px_ubjson_take_typed(&doc->ubjson, 'l', &n);
    const unsigned char *bytes = words ? NULL : px_ubjson_take_typed(&doc->ubjson, 'U', &n);
    if (!words && !bytes)
        return false;
    doc->no_memory |= !px_vec_reserve(ret, n);
    for (size_t i = 0; !doc->no_memory && i < n; i++)
        ret->items[i] = words ? (int32_t)big_endian_32(words + 4 * i) : bytes[i];
    ret->len = doc->no_memory ? 0 : n;
    return true;
}

void px_doc_floats(struct px_doc *doc, struct px_floats *ret)
{
    ret->len = 0;
    px_doc_enter_array(doc);
    if (doc->binary && take_typed_floats(doc, ret))
        return;
    while (px_doc_next_element(doc)) {
        float *item = px_vec_push(ret);
        if (!item) {
            doc->no_memory = true;
            return;
        }
        *item = px_doc_f32(doc);
    }
}

void px_doc_ints(struct px_doc *doc, struct px_ints *ret)
{
    ret->len = 0;
    px_doc_enter_array(doc);
    if (doc->binary && take_typed_ints(doc, ret))
        return;
    while (px_doc_next_element(doc)) {
        int64_t *item = px_vec_push(ret);
        if (!item) {
            doc->no_memory = true;
            return;
        }
        *item = px_doc_i64(doc);
    }
}

void px_doc_fail(struct px_doc *doc, const char *reason)
{
    if (doc->binary)
        px_ubjson_fail(&doc->ubjson, "%s", reason);
    else
        px_json_fail(&doc->json, "%s", reason);
}

bool px_doc_failed(const struct px_doc *doc)
{
    if (doc->no_memory)
        return true;
    return doc->binary ? px_ubjson_failed(&doc->ubjson) : px_json_failed(&doc->json);
}

/* What is invalid JSON for a request is a corrupt file here. */
static enum px_code report(enum px_code code, const struct px_err *problem, struct px_err *err)
{
    if (code == PX_OK)
        return PX_OK;
    return px_err_set(err, code == PX_E_INVALID ? PX_E_CORRUPT : code, "%s", problem->message);
}

enum px_code px_doc_check(const struct px_doc *doc, struct px_err *err)
{
    struct px_err problem = {0};
    if (doc->no_memory)
        return px_err_set(err, PX_E_NO_MEMORY, "not enough memory to read the model");
    enum px_code code =
        doc->binary ? px_ubjson_check(&doc->ubjson, &problem) : px_json_check(&doc->json, &problem);
    return report(code, &problem, err);
}

enum px_code px_doc_finish(struct px_doc *doc, struct px_err *err)
{
    struct px_err problem = {0};
    enum px_code code = px_doc_check(doc, err);
    if (code != PX_OK)
        return code;
    if (!doc->binary)
        return report(px_json_finish(&doc->json, &problem), &problem, err);
    if (px_cursor_left(&doc->ubjson.cursor))
        px_ubjson_fail(&doc->ubjson, "%zu bytes follow the document",
                       px_cursor_left(&doc->ubjson.cursor));
    return px_doc_check(doc, err);
}
