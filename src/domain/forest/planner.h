/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner: which kernel scores which batch of a given forest.
 *
 * Concepts
 * - A batch size belongs to a class, the powers of two up to PX_PLAN_ROWS_MAX: class 3 is 8 to 15 rows. Each
 *   class has one kernel. Of a larger batch the whole multiples of PX_PLAN_ROWS_MAX go to the kernel of
 *   the last class, and the rest goes by its own.
 * - A kernel's cost model predicts processor cycles (kernel.h). With a clock, a short measurement on probe
 *   rows corrects it: nanoseconds per predicted cycle, by kernel and class (measure.h).
 * - A kernel is a candidate for a class when its predicted cost is within PX_PLAN_HOPELESS of the least
 *   there, or when both it and that least were measured and the model was wrong. Only candidates are
 *   measured and chosen, so noise alone does not lead to what the model says is far worse.
 * - A kernel that makes an estimate (kernel.h) is compiled only when that leaves it a chance: within
 *   PX_PLAN_HOPELESS of the least cost of some class or, since compiling takes a time per node, of a large forest
 *   within PX_PLAN_HOPELESS_LARGE.
 * - A kernel that no class has chosen is dropped: its compiled form is freed, why is remembered.
 * - A forced kernel is taken for all classes, or refused with the reason.
 * - When memory is short, kernels other than the last of the table are refused for it, and nothing is
 *   measured; the plan goes on without.
 *
 * Ownership: init/deinit; the plan must not move while it is used, and the forest must outlive it.
 * Threads: immutable after px_plan_init; each call has its own scratch.
 */
#ifndef PX_DOMAIN_FOREST_PLANNER_H
#define PX_DOMAIN_FOREST_PLANNER_H

#include "domain/forest/kernels/kernel.h"

enum {
    PX_KERNELS = 7,
    PX_PLAN_KERNELS_MAX = 16, /* of any table */
    PX_PLAN_CLASSES = 10,
    PX_PLAN_ROWS_MAX = 1 << (PX_PLAN_CLASSES - 1),
};

/* What measuring may take: a fixed time for any model, and a part of what reading a huge one takes. */
#define PX_PLAN_MEASURE_NS          UINT64_C(10000000)
#define PX_PLAN_MEASURE_NS_PER_NODE UINT64_C(100)

#define PX_PLAN_HOPELESS       4.0 /* times the least predicted cost */
#define PX_PLAN_HOPELESS_LARGE 1.5 /* the same of an estimate, for a forest of more than */
#define PX_PLAN_LARGE_NODES    (1 << 18)

extern const struct px_kernel *const px_kernels[PX_KERNELS]; /* the walker last */

struct px_plan_options {
    const char *kernel;         /* forced; NULL: choose */
    uint64_t (*clock_ns)(void); /* NULL: the cost model alone */
    uint64_t measure_ns;        /* 0: PX_PLAN_MEASURE_NS and so much per node */
    /* The kernels to choose from, the reference last; NULL: px_kernels. For tests of the planner. */
    const struct px_kernel *const *kernels;
    size_t n_kernels;
};

/* What became of one kernel. */
struct px_plan_kernel {
    bool usable; /* compiled, and may be run */
    void *compiled;
    bool refused; /* not for this forest, this processor or this memory: `reason` says why */
    /* Predicted for a call of 2^class rows, estimated if it was not compiled; 0 when not asked. */
    double cycles[PX_PLAN_CLASSES];
    /* Measured for the same, the least of a few; 0 when it was not. */
    double call_ns[PX_PLAN_CLASSES];
    enum px_kernel_state state;
    char reason[PX_ERR_MESSAGE_MAX]; /* why it is not chosen; empty when it is */
};

struct px_plan {
    struct px_kernel_input input;
    struct px_codes *codes; /* what input.codes points to; NULL when no usable kernel reads them */
    struct px_err codes_refusal;
    const struct px_kernel *const *table;
    size_t n_kernels;
    bool forced;
    struct px_plan_kernel kernels[PX_PLAN_KERNELS_MAX]; /* by place in the table */
    uint8_t choice[PX_PLAN_CLASSES];                    /* place in the table, by class */
};

/*
 * Plans by the cost model, or with `force` for one kernel. PX_E_INVALID for an unknown or unfit one,
 * PX_E_NO_MEMORY for the forced kernel or the reference. After a failure only px_plan_deinit may follow.
 */
PX_MUST_USE enum px_code px_plan_init(struct px_plan *plan, const struct px_forest_ir *ir,
                                      const char *force, struct px_err *err);
PX_MUST_USE enum px_code px_plan_init_with(struct px_plan *plan, const struct px_forest_ir *ir,
                                           const struct px_plan_options *options,
                                           struct px_err *err);
void px_plan_deinit(struct px_plan *plan);

/* A plan in which no kernel is usable yet, and the two ways to change that. */
void px_plan_init_empty(struct px_plan *plan, const struct px_forest_ir *ir,
                        const struct px_kernel *const *table, size_t n_kernels);
/* PX_OK also when it refuses: then it is not usable and `reason` is set. PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_plan_compile(struct px_plan *plan, size_t kernel, struct px_err *err);
void px_plan_drop(struct px_plan *plan, size_t kernel);

/* The class of a batch of `n_rows` rows, and the place of its kernel in the table. */
size_t px_plan_class(size_t n_rows);
size_t px_plan_choice(const struct px_plan *plan, size_t n_rows);

size_t px_plan_scratch_size(const struct px_plan *plan, size_t rows_max);

/* Finished margins of any number of rows; `scratch` has px_plan_scratch_size(plan, n_rows) bytes. */
void px_plan_margins(const struct px_plan *plan, const struct px_matrix *rows, void *margins,
                     void *scratch);

/* The same by one kernel, which must be usable. */
void px_plan_margins_by(const struct px_plan *plan, size_t kernel, const struct px_matrix *rows,
                        void *margins, void *scratch);

size_t px_plan_bytes(const struct px_plan *plan);

/* What the plan says about a class and about a kernel; texts live as long as the plan. */
struct px_forest_choice px_plan_describe_class(const struct px_plan *plan, size_t size_class);
struct px_forest_kernel px_plan_describe_kernel(const struct px_plan *plan, size_t kernel);

#endif
