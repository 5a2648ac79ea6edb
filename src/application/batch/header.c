/* SPDX-License-Identifier: Apache-2.0 */
#include "application/batch/header.h"

#include "shared/csv_plain.h"
#include "shared/number.h"

enum { BINDING_MEMORY_MAX = 64 << 20 };

void px_header_init(struct px_header *header, const struct px_signature *signature,
                    const struct px_rows_options *options)
{
    *header = (struct px_header){
        .signature = signature,
        .options = *options,
        .arena = px_arena(BINDING_MEMORY_MAX),
    };
    if (options->no_header)
        header->options.by_position = true;
}

void px_header_deinit(struct px_header *header)
{
    px_arena_deinit(&header->arena);
}

static enum px_code keep_names(struct px_header *header, const struct px_str *names, size_t n,
                               struct px_err *err)
{
    struct px_str *columns = px_arena_zalloc(&header->arena, n + 1, sizeof *columns);
    for (size_t i = 0; columns && !header->options.no_header && i < n; i++)
        columns[i] = px_column_name(names[i], i, &header->arena);
    header->columns = columns;
    header->n_columns = n;
    return px_arena_check(&header->arena, "the header", err);
}

static bool any_feature_named(const struct px_header *header)
{
    for (size_t i = 0; i < header->n_columns; i++) {
        if (px_signature_find(header->signature, header->columns[i]) >= 0)
            return true;
    }
    return false;
}

/*
 * A first line of numbers is a row, not a header, and taking it for one would lose it silently. The
 * exception is 0,1,2,...: that is how pandas names the columns of an array.
 */
static enum px_code check_is_header(const struct px_header *header, struct px_err *err)
{
    bool counting = true;
    for (size_t i = 0; i < header->n_columns; i++) {
        uint64_t whole;
        double number;
        if (!px_str_to_f64(header->columns[i], &number))
            return PX_OK;
        counting = counting && px_str_to_u64(header->columns[i], &whole) && whole == i;
    }
    if (counting)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "the first line looks like data, not like a header: '%.*s', ...",
               PX_STR_ARG(header->columns[0]));
    return px_err_hint(err, "--no-header reads the first line as a row");
}

/* Is this column something else than a feature, though nothing but positions say what is one? */
static bool is_left_out(const struct px_header *header, size_t column)
{
    struct px_str name = header->columns[column];
    if (name.len == 0)
        return false;
    if (px_str_eq(name, header->options.target))
        return true;
    return header->options.with_scores &&
           (px_str_is(name, "score") || px_str_starts(name, "score_"));
}

static enum px_code bind_by_position(struct px_header *header, struct px_err *err)
{
    size_t n = header->signature->n_features, next = 0;
    header->binding.n_columns = header->n_columns;
    header->binding.feature_of =
        px_arena_alloc(&header->arena, header->n_columns + 1, sizeof *header->binding.feature_of);
    if (!header->binding.feature_of)
        return px_arena_check(&header->arena, "the header", err);
    for (size_t c = 0; c < header->n_columns; c++)
        header->binding.feature_of[c] = is_left_out(header, c) ? -1 : (long)next++;
    if (next != n)
        return px_err_set(err, PX_E_INVALID,
                          "columns are matched by position: the model takes %zu, the file has %zu",
                          n, next);
    return header->options.no_header ? PX_OK : check_is_header(header, err);
}

/* What the quick reader does with each column. */
static enum px_code plan(struct px_header *header, struct px_err *err)
{
    int32_t *slots = px_arena_alloc(&header->arena, header->n_columns + 1, sizeof *slots);
    for (size_t c = 0; slots && c < header->n_columns; c++) {
        long feature = header->binding.feature_of[c];
        slots[c] = PX_CSV_IGNORED;
        if (feature >= 0)
            slots[c] = header->signature->features[feature].kind == PX_FEATURE_NUMBER
                           ? (int32_t)feature
                           : PX_CSV_TEXT;
    }
    header->slots = slots;
    return px_arena_check(&header->arena, "the header", err);
}

enum px_code px_header_bind(struct px_header *header, const struct px_str *names, size_t n,
                            struct px_err *err)
{
    enum px_code code = keep_names(header, names, n, err);
    if (code != PX_OK)
        return code;
    bool unnamed = !header->signature->named && !any_feature_named(header);
    if (header->options.by_position || unnamed)
        code = bind_by_position(header, err);
    else
        code = px_signature_bind(header->signature, header->columns, n, false, &header->arena,
                                 &header->binding, err);
    if (code == PX_OK)
        code = plan(header, err);
    header->bound = code == PX_OK;
    return code;
}
