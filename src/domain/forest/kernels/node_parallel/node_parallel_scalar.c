/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The twin of the loops in node_parallel_avx512.c, for any processor: the packed form as node_parallel.h
 * describes it, one heap and one split at a time. It is no kernel, for walks of the branchless one are faster;
 * it makes the packing testable on every machine, and says what the vector loops must find.
 */
#include "domain/forest/kernels/node_parallel/node_parallel.h"

/* A row on its way through the trees. */
struct row {
    const struct px_node_parallel *np;
    enum px_datatype type;
    const uint8_t *codes;
    uint8_t *bytes;
    void *margins;
};

static size_t codes_size(const struct px_kernel_input *input)
{
    return (input->codes->n_slots + PX_CACHE_LINE - 1) / PX_CACHE_LINE * PX_CACHE_LINE;
}

size_t px_node_parallel_scalar_scratch_size(const struct px_kernel_input *input,
                                            const void *compiled, size_t n_rows)
{
    (void)compiled;
    (void)n_rows;
    return codes_size(input) + PX_NP_BYTES_MAX;
}

static uint32_t code_at(const struct row *row, uint32_t slot, bool wide)
{
    return row->codes[slot] | (wide ? (uint32_t)row->codes[slot + 1] << 8 : 0);
}

static void make_bytes(const struct row *row)
{
    for (size_t b = 0; b < row->np->n_row_bytes; b++) {
        const struct px_np_byte *byte = &row->np->row_bytes[b];
        uint32_t code = code_at(row, byte->slot, byte->wide);
        uint32_t above = code > byte->minus ? code - byte->minus : 0;
        row->bytes[b] = (uint8_t)(above < UINT8_MAX ? above : UINT8_MAX);
    }
}

/* Bit i: the split whose bytes are which[i] and least[i] goes right. */
static uint32_t decide(const struct row *row, const uint8_t *which, const uint8_t *least,
                       uint32_t n)
{
    uint32_t right = 0;
    for (uint32_t i = 0; i < n; i++)
        right |= (uint32_t)(row->bytes[which[i]] >= least[i]) << i;
    return right;
}

/* The splits on classes of a tree's top, or of a bottom or panel, that the row's classes send right. */
static uint32_t class_decisions(const struct row *row, bool top, size_t unit)
{
    const struct px_node_parallel *np = row->np;
    uint32_t right = 0;
    for (size_t c = 0; c < np->n_class_columns; c++) {
        const struct px_np_class_column *column = &np->class_columns[c];
        size_t value_class = code_at(row, column->slot, column->wide);
        if (top)
            right |= np->top_masks[column->first_top + value_class * np->n_tops + unit];
        else if (np->panels)
            right |=
                ((const uint16_t *)np->masks)[column->first + value_class * np->n_units + unit];
        else
            right |= ((const uint8_t *)np->masks)[column->first + value_class * np->n_units + unit];
    }
    return right;
}

/* What a walk reaches, from the left, by the decisions (bit p is place p). */
static uint32_t walk(uint32_t right, uint32_t depth)
{
    uint32_t place = 1;
    for (uint32_t d = 0; d < depth; d++)
        place = 2 * place + (right >> place & 1);
    return place - (UINT32_C(1) << depth);
}

static void add(const struct row *row, uint32_t margin, const void *value)
{
    if (row->type == PX_TYPE_FP32)
        ((float *)row->margins)[margin] += *(const float *)value;
    else
        ((double *)row->margins)[margin] += *(const double *)value;
}

/* Adds the values of a tree's leaf, which start at `place`. */
static void add_values(const struct row *row, size_t tree, size_t place)
{
    const struct px_np_tree *t = &row->np->trees[tree];
    size_t size = px_datatype_size(row->type);
    for (uint32_t k = 0; k < t->width; k++)
        add(row, t->output + k, (const char *)row->np->values + (place + k) * size);
}

static void score_shallow_tree(const struct row *row, size_t tree)
{
    const struct px_node_parallel *np = row->np;
    const struct px_tops *tops = &np->tops[tree / 8];
    size_t first = tree % 8 * PX_SMALL_PLACES, size = px_datatype_size(row->type);
    uint32_t right = decide(row, &tops->which[first], &tops->least[first], PX_SMALL_PLACES - 1);
    right |= class_decisions(row, true, tree);
    size_t unit = (tree << np->top_depth) + walk(right << 1, np->top_depth);
    const char *at = np->bottoms + unit * np->bottom_size;
    const struct px_bottom *bottom = (const void *)at;
    right = decide(row, bottom->which, bottom->least, PX_SMALL_PLACES - 1);
    right |= class_decisions(row, false, unit);
    const void *leaf = at + sizeof *bottom + walk(right << 1, PX_BOTTOM_DEPTH) * size;
    if (!np->vectors)
        add(row, np->trees[tree].output, leaf);
    else if (row->type == PX_TYPE_FP32)
        add_values(row, tree, *(const uint32_t *)leaf);
    else
        add_values(row, tree, *(const uint64_t *)leaf);
}

static void score_deep_tree(const struct row *row, size_t tree)
{
    const struct px_node_parallel *np = row->np;
    size_t unit = np->roots[tree];
    uint32_t next = PX_PANEL_FURTHER;
    while (next & PX_PANEL_FURTHER) {
        unit += next & (PX_PANEL_FURTHER - 1U);
        const struct px_panel *panel = &np->panel[unit];
        uint32_t right = decide(row, panel->which, panel->least, PX_PANEL_PLACES);
        right |= class_decisions(row, false, unit);
        next = panel->exits[walk(right, PX_PANEL_DEPTH)];
    }
    add_values(row, tree, np->trees[tree].first_value + (size_t)next * np->trees[tree].width);
}

static void start(const struct row *row, const struct px_forest_ir *ir)
{
    for (size_t k = 0; k < ir->n_margins; k++) {
        double base = px_ir_start(ir, k);
        if (row->type == PX_TYPE_FP32)
            ((float *)row->margins)[k] = (float)base;
        else
            ((double *)row->margins)[k] = base;
    }
}

void px_node_parallel_scalar_margins(const struct px_kernel_input *input, const void *compiled,
                                     const struct px_matrix *rows, void *margins, void *scratch)
{
    uint8_t *codes = scratch;
    struct row row = {.np = compiled,
                      .type = rows->type,
                      .codes = codes,
                      .bytes = codes + codes_size(input),
                      .margins = margins};
    for (size_t i = 0; i < rows->n_rows; i++) {
        px_codes_encode(input->codes, rows, i, 1, codes, 1);
        make_bytes(&row);
        start(&row, input->ir);
        for (size_t t = 0; t < row.np->n_trees; t++) {
            if (row.np->panels)
                score_deep_tree(&row, t);
            else
                score_shallow_tree(&row, t);
        }
        row.margins = (char *)row.margins + input->ir->n_margins * px_datatype_size(row.type);
    }
}
