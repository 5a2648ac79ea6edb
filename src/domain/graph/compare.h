/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as conditions compare them: what people see decides, not how it is stored.
 *
 * An integer is compared exactly, with another one and with a number that has a fraction. A number written in a condition is rounded to the type of
 * the floating-point tensor that it is compared with, as that tensor's values have been: 0.6 of FP32 has reached a 0.6 in the text,
 * although the double nearest to 0.6 lies below it.
 */
#ifndef PX_DOMAIN_GRAPH_COMPARE_H
#define PX_DOMAIN_GRAPH_COMPARE_H

#include "domain/inference/tensor.h"

__extension__ typedef __int128 px_graph_whole; /* every INT64 and UINT64 */

struct px_graph_number {
    double real;
    px_graph_whole whole;
    bool is_whole; /* it is `whole`, exactly; else `real` */
};

enum px_graph_comparison {
    PX_GRAPH_LESS = 1,
    PX_GRAPH_LESS_EQUAL,
    PX_GRAPH_GREATER,
    PX_GRAPH_GREATER_EQUAL,
    PX_GRAPH_EQUAL,
    PX_GRAPH_NOT_EQUAL,
};

/* Element `i` of a tensor with numbers. */
struct px_graph_number px_graph_number_of_tensor(const struct px_tensor *tensor, size_t i);
/* A number in a text; `real` is what it was read as. */
struct px_graph_number px_graph_number_of_text(struct px_str text, double real);
/* A written number as a tensor of that type would hold it. */
struct px_graph_number px_graph_number_as(struct px_graph_number written, enum px_datatype type);

bool px_graph_number_compare(const struct px_graph_number *a, enum px_graph_comparison comparison,
                             const struct px_graph_number *b);

#endif
