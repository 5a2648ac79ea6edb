/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cast: another datatype. Numbers round to nearest where floats are narrowed and lose their fraction where they become
 * integers, as numpy's astype; what an integer type cannot hold (NaN, 300 as UINT8) is an error and not some other number. Texts are
 * parsed, and numbers become the shortest text that is read back as the same.
 *
 * Integers go by a sign and a magnitude of 64 bits, so that no pair of types loses a digit on the way.
 */
#include "domain/processing/tabular_cells.h"
#include "domain/processing/tabular_kinds.h"

#include "shared/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

struct cast {
    struct px_tabular table;
    enum px_datatype to;
};

/* A number on its way: a whole one, or a float. */
struct value {
    bool whole, negative;
    uint64_t magnitude; /* of a whole one */
    double real;
};

static bool is_unsigned(enum px_datatype type)
{
    return type == PX_TYPE_BOOL || type == PX_TYPE_UINT8 || type == PX_TYPE_UINT16 ||
           type == PX_TYPE_UINT32 || type == PX_TYPE_UINT64;
}

static bool is_half(enum px_datatype type)
{
    return type == PX_TYPE_FP16 || type == PX_TYPE_BF16;
}

static struct value value_of_cell(struct px_str cell, enum px_datatype type)
{
    struct value value = {.whole = !px_tabular_is_float(type) && !is_half(type)};
    const struct px_tensor one = {.type = type, .bytes = cell};
    px_tabular_read(&one, 0, 1, &value.real);
    if (!value.whole)
        return value;
    value.negative = value.real < 0;
    uint64_t bits = 0;
    memcpy(&bits, cell.ptr, cell.len);
    unsigned unused = (unsigned)(8 * (sizeof bits - cell.len));
    if (value.negative) /* the sign fills the bytes above; the magnitude is the two's complement */
        bits = ~(bits | (unused ? ~(UINT64_MAX >> unused) : 0)) + 1;
    value.magnitude = bits;
    return value;
}

/* Whole numbers of floats; false for those beyond 64 bits and NaN. */
static bool to_whole(struct value *value)
{
    const double too_large = 18446744073709551616.0; /* 2^64 */
    if (value->whole)
        return true;
    double whole = trunc(value->real);
    if (!(fabs(whole) < too_large))
        return false;
    value->whole = true;
    value->negative = whole < 0;
    value->magnitude = (uint64_t)fabs(whole);
    return true;
}

static bool put_integer(struct value value, enum px_datatype type, char *to)
{
    size_t size = px_datatype_size(type);
    if (type == PX_TYPE_BOOL) { /* as numpy: all but 0, NaN too */
        bool truth = value.whole ? value.magnitude != 0 : value.real != 0;
        memcpy(to, &truth, 1);
        return true;
    }
    if (!to_whole(&value))
        return false;
    unsigned bits = (unsigned)size * 8 - !is_unsigned(type);
    uint64_t most = UINT64_MAX >> (64 - bits);
    if (value.negative && value.magnitude)
        most = is_unsigned(type) ? 0 : most + 1;
    if (value.magnitude > most)
        return false;
    uint64_t pattern = value.negative ? ~value.magnitude + 1 : value.magnitude;
    memcpy(to, &pattern, size);
    return true;
}

/* A 64-bit integer as a float is rounded once, from the integer itself. */
static void put_float(struct value value, enum px_datatype type, char *to)
{
    if (type == PX_TYPE_FP64) {
        memcpy(to, &value.real, sizeof value.real);
        return;
    }
    float narrow = value.whole ? (float)value.magnitude : (float)value.real;
    if (value.whole && value.negative)
        narrow = -narrow;
    memcpy(to, &narrow, sizeof narrow);
}

static bool parse(struct px_str text, enum px_datatype type, char *to)
{
    struct value value = {.whole = false};
    float narrow;
    int64_t integer;
    text = px_str_trim(text);
    if (type == PX_TYPE_FP32) {
        bool right = px_str_to_f32(text, &narrow);
        memcpy(to, &narrow, right ? sizeof narrow : 0);
        return right;
    }
    if (px_str_to_i64(text, &integer)) {
        value.whole = true;
        value.negative = integer < 0;
        value.magnitude = integer < 0 ? ~(uint64_t)integer + 1 : (uint64_t)integer;
        value.real = (double)integer;
    } else if (px_str_to_u64(text, &value.magnitude)) {
        value.whole = true;
        value.real = (double)value.magnitude;
    } else if (!px_str_to_f64(text, &value.real)) {
        return false;
    }
    if (!px_tabular_is_float(type))
        return (value.whole || value.real == trunc(value.real)) && put_integer(value, type, to);
    put_float(value, type, to);
    return true;
}

static enum px_code refuse(const struct cast *cast, struct px_str cell, size_t at,
                           struct px_err *err)
{
    char out[PX_NUMBER_TEXT_MAX];
    struct px_str text = cell;
    if (!is_half(cast->table.from))
        text = px_tabular_cell_text(cell, cast->table.from, out);
    else
        text = px_str("a number");
    return px_err_set(err, PX_E_INVALID, "cast: element %zu: '%.*s' cannot be %s", at,
                      PX_STR_ARG(text), px_datatype_name(cast->to));
}

static enum px_code cast_cells(const struct cast *cast, const struct px_str *cells, size_t n,
                               char *to, struct px_err *err)
{
    size_t size = px_datatype_size(cast->to);
    for (size_t i = 0; i < n; i++, to += size) {
        bool right = true;
        if (cast->table.from == PX_TYPE_BYTES)
            right = parse(cells[i], cast->to, to);
        else if (px_tabular_is_float(cast->to))
            put_float(value_of_cell(cells[i], cast->table.from), cast->to, to);
        else
            right = put_integer(value_of_cell(cells[i], cast->table.from), cast->to, to);
        if (!right)
            return refuse(cast, cells[i], i, err);
    }
    return PX_OK;
}

static enum px_code print_cells(const struct cast *cast, const struct px_str *cells, size_t n,
                                struct px_tensor *output, struct px_arena *arena,
                                struct px_err *err)
{
    struct px_str *texts = px_arena_alloc(arena, n ? n : 1, sizeof *texts);
    char *memory = px_arena_alloc(arena, n ? n : 1, PX_NUMBER_TEXT_MAX);
    if (!texts || !memory)
        return px_arena_check(arena, "texts of a processor", err);
    for (size_t i = 0; i < n; i++, memory += PX_NUMBER_TEXT_MAX) {
        if (cast->table.from == PX_TYPE_FP32) {
            float x;
            memcpy(&x, cells[i].ptr, sizeof x);
            texts[i] = px_str_n(memory, px_number_print_f32(x, memory));
        } else {
            texts[i] = px_tabular_cell_text(cells[i], cast->table.from, memory);
        }
    }
    return px_tabular_set_texts(output, texts, n, arena, err);
}

static enum px_code apply(const struct px_processor *processor, const struct px_tensor *inputs,
                          struct px_tensor *outputs, struct px_arena *arena, struct px_err *err)
{
    const struct cast *cast = (const struct cast *)processor;
    const struct px_str *cells = NULL;
    struct px_tabular_size size;
    char *to;
    if (cast->to == cast->table.from) {
        outputs[0] = inputs[0];
        outputs[0].name = processor->gives.list[0].name;
        return PX_OK;
    }
    enum px_code code = px_tabular_measure(&cast->table, &inputs[0], &size, err);
    if (code == PX_OK)
        code = px_tabular_cells(&inputs[0], size.n, arena, &cells, err);
    if (code == PX_OK)
        code = px_tabular_make(&processor->gives.list[0], &inputs[0], arena, &outputs[0], &to, err);
    if (code != PX_OK)
        return code;
    return cast->to == PX_TYPE_BYTES ? print_cells(cast, cells, size.n, &outputs[0], arena, err)
                                     : cast_cells(cast, cells, size.n, to, err);
}

static enum px_code read_type(const struct px_tabular_settings *settings, enum px_datatype *type,
                              struct px_err *err)
{
    struct px_str name, names[PX_TYPE_COUNT];
    size_t n = 0;
    enum px_code code = px_tabular_need(settings, "type", "a datatype such as FP32", err);
    if (code == PX_OK)
        code = px_tabular_str(settings, "type", &name, err);
    if (code != PX_OK)
        return code;
    *type = px_datatype_from_name(name);
    if (*type != PX_TYPE_NONE && !is_half(*type))
        return PX_OK;
    for (int i = PX_TYPE_NONE + 1; i < PX_TYPE_COUNT; i++) {
        if (!is_half((enum px_datatype)i))
            names[n++] = px_str(px_datatype_name((enum px_datatype)i));
    }
    px_err_set(err, PX_E_INVALID,
               "type: line %u: expected a datatype, not FP16 or BF16; got '%.*s'",
               px_tabular_node(settings, "type")->line, PX_STR_ARG(name));
    px_err_suggest(err, name, names, n);
    return px_tabular_wrap(settings, "type", err);
}

static enum px_code create(const struct px_processor_source *source, struct px_processor **ret,
                           struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("type")};
    static const struct px_tabular_form form = {.accepts = PX_TABULAR_ANY, .elements = true};
    struct cast *cast = px_arena_zalloc(source->arena, 1, sizeof *cast);
    struct px_tabular_settings settings;
    if (!cast)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_type(&settings, &cast->to, err);
    if (code == PX_OK)
        code = px_tabular_init(&cast->table, &px_kind_cast, &settings, &form, err);
    if (code == PX_OK && is_half(cast->table.from) && cast->to == PX_TYPE_BYTES)
        return px_err_set(err, PX_E_INVALID, "cast: %s to BYTES: cast to FP32 before",
                          px_datatype_name(cast->table.from));
    if (code == PX_OK)
        code = px_tabular_give(&cast->table, "output", cast->to, source->arena, NULL, err);
    cast->table.base.apply = apply;
    *ret = &cast->table.base;
    return code;
}

const struct px_processor_kind px_kind_cast = {
    "cast", "another datatype: numbers rounded or cut, texts parsed, numbers printed", create};
