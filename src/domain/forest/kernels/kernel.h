/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel: one way to compute margins. All kernels give the same bits; they differ in speed, in the
 * forests that they support and in the processors that they need. planner.h picks among them.
 *
 * Adding one: a file here with a `struct px_kernel`, its `extern` below, PX_KERNELS in planner.h and a line
 * in planner.c. The self-test, the parity tests and `phoenix bench` take it from there.
 */
#ifndef PX_DOMAIN_FOREST_KERNEL_H
#define PX_DOMAIN_FOREST_KERNEL_H

#include "domain/forest/ir.h"
#include "domain/forest/kernels/codes/codes.h"

/* What a kernel is made from; outlives what it compiles. */
struct px_kernel_input {
    const struct px_forest_ir *ir;
    const struct px_codes *codes; /* NULL when the forest has none; then `codes_refusal` says why */
    const char *codes_refusal;
};

struct px_kernel {
    const char *name;   /* "branchless"; what PHOENIX_KERNEL and --kernel take */
    bool without_codes; /* never reads input->codes: they need not be made or kept for it */

    /*
     * Prepares the forest; `ret` may become NULL when nothing is to be kept. PX_E_UNSUPPORTED when the
     * forest or the processor is not for this kernel: the message is the reason that users see, a clause
     * such as "tree 17 has 5230 leaves, at most 256".
     */
    enum px_code (*compile)(const struct px_kernel_input *input, void **ret, struct px_err *err);
    void (*destroy)(void *compiled); /* NULL is fine */
    size_t (*bytes)(const void *compiled);
    /* Bytes of scratch for a call with at most `n_rows` rows, a multiple of PX_CACHE_LINE; monotonic. */
    size_t (*scratch_size)(const struct px_kernel_input *input, const void *compiled,
                           size_t n_rows);
    /*
     * NULL, or about what cost() will say, rather less than more, from the input alone and in a small part
     * of the time that compiling takes: what is hopeless even so need not be compiled. 0 when compile will
     * refuse.
     */
    double (*estimate)(const struct px_kernel_input *input, size_t n_rows);
    /* Predicted processor cycles of one call with `n_rows` rows; the planner corrects it by measuring. */
    double (*cost)(const struct px_kernel_input *input, const void *compiled, size_t n_rows);
    /*
     * rows [n, n_features] of ir->type -> margins [n, n_margins] of ir->type: the base (0 when it comes
     * last) plus the trees in their order. px_ir_finish_margins does what remains. No allocation.
     * `scratch` is aligned to PX_CACHE_LINE.
     */
    void (*margins)(const struct px_kernel_input *input, const void *compiled,
                    const struct px_matrix *rows, void *margins, void *scratch);
};

extern const struct px_kernel px_node_parallel_kernel; /* one row, many splits an instruction */
extern const struct px_kernel px_walker_kernel;        /* the reference: supports everything */
extern const struct px_kernel px_branchless_kernel;    /* packed nodes, several walks at a time */
extern const struct px_kernel px_keyed_kernel;         /* the same over integer keys of the row */

#endif
