/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/typical.h"

/* The lowest code of a set, 0 when it is empty. */
static double lowest_code(const struct px_forest_ir *ir, const struct px_set *set)
{
    for (uint32_t word = 0; word < set->n_words; word++) {
        uint32_t bits = ir->set_words.items[set->first_word + word];
        if (bits)
            return (double)((set->low_word + word) * 32 + (uint32_t)__builtin_ctz(bits));
    }
    return 0;
}

/* The least number of a list, 0 when it is empty. */
static double first_value(const struct px_forest_ir *ir, const struct px_value_list *list)
{
    return list->n ? ir->values.items[list->first] : 0;
}

void px_typical_row(const struct px_forest_ir *ir, struct px_matrix *row)
{
    PX_ASSERT(row->n_rows == 1 && row->n_cols == ir->n_features);
    for (size_t i = 0; i < ir->n_features; i++)
        px_matrix_set(row, 0, i, 0);
    /* Backwards, so that the first node of each feature in file order, the one nearest to a root, stays. */
    for (size_t i = ir->nodes.len; i-- > 0;) {
        const struct px_node *node = &ir->nodes.items[i];
        if (node->kind == PX_NODE_SET)
            px_matrix_set(row, 0, node->feature, lowest_code(ir, &ir->sets.items[node->set]));
        else if (node->kind == PX_NODE_VALUES)
            px_matrix_set(row, 0, node->feature,
                          first_value(ir, &ir->value_lists.items[node->set]));
        else if (node->kind != PX_NODE_LEAF)
            px_matrix_set(row, 0, node->feature, node->threshold);
    }
}
