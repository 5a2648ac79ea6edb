/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processors of tables share: a check of their input when they are created, their elements as doubles, and their
 * output tensors.
 *
 * A table is [rows, columns] or, with one column, [rows]. Elements of any number type but FP16 and BF16 are read as doubles, which is
 * exact but for integers beyond 2^53. Arithmetic on FP32 rounds after each operation (px_tabular_round): for + - * / that
 * is what arithmetic of floats gives, as a double has more than twice their digits.
 */
#ifndef PX_DOMAIN_PROCESSING_TABULAR_H
#define PX_DOMAIN_PROCESSING_TABULAR_H

#include "domain/processing/tabular_settings.h"

struct px_tabular {
    struct px_processor base;
    struct px_tensor_spec takes; /* "input" */
    enum px_datatype from;       /* type of the input */
    size_t n_cols;               /* of the input; 0: any number. Of kinds that go by elements: 0 */
};

enum px_tabular_accepts {
    PX_TABULAR_NUMBERS = 1, /* BOOL, integers, FP32, FP64 */
    PX_TABULAR_TEXTS = 2,   /* BYTES */
    PX_TABULAR_HALVES = 4,  /* FP16, BF16 */
    PX_TABULAR_ANY = 7,
};

struct px_tabular_form {
    unsigned accepts;
    bool elements; /* element by element: a tensor of any shape */
    size_t n_cols; /* that the settings say; 0: they do not */
};

/* Checks the input; fills base.kind, base.takes, from and n_cols. */
PX_MUST_USE enum px_code px_tabular_init(struct px_tabular *t, const struct px_processor_kind *kind,
                                         const struct px_tabular_settings *settings,
                                         const struct px_tabular_form *form, struct px_err *err);

/* One more output of the input's shape (of a table: [rows] or [rows, columns]); the caller changes what differs. */
PX_MUST_USE enum px_code px_tabular_give(struct px_tabular *t, const char *name,
                                         enum px_datatype type, struct px_arena *arena,
                                         struct px_tensor_spec **ret, struct px_err *err);
/* The same as [rows, n_cols]; PX_DIM_ANY: not known. */
PX_MUST_USE enum px_code px_tabular_give_table(struct px_tabular *t, const char *name,
                                               enum px_datatype type, int64_t n_cols,
                                               struct px_arena *arena, struct px_err *err);

/* FP32 for FP32, FP64 for all others: the type in which scikit-learn computes. */
enum px_datatype px_tabular_float(enum px_datatype type);

static inline double px_tabular_round(enum px_datatype type, double x)
{
    return type == PX_TYPE_FP32 ? (double)(float)x : x;
}

/* ---- elements ---- */

/* Elements [first, first + n) of a tensor of numbers. */
void px_tabular_read(const struct px_tensor *tensor, size_t first, size_t n, double *to);
/* As elements of FP32, FP64 or INT64; whole numbers only for the last. */
void px_tabular_write(enum px_datatype type, const double *from, size_t n, char *to);

/* Rows and columns of an input; PX_E_INVALID when there are others than t->n_cols. */
struct px_tabular_size {
    size_t n_rows, n_cols, n; /* n elements */
};
PX_MUST_USE enum px_code px_tabular_measure(const struct px_tabular *t,
                                            const struct px_tensor *input,
                                            struct px_tabular_size *ret, struct px_err *err);

/* The texts of a tensor of BYTES. */
PX_MUST_USE enum px_code px_tabular_read_texts(const struct px_tensor *tensor, size_t n,
                                               struct px_arena *arena, const struct px_str **ret,
                                               struct px_err *err);

/* ---- outputs ---- */

/* A tensor of `spec` with the shape of `like`; `*ret_bytes` is to be filled (not of BYTES: those are set by px_tabular_set_texts). */
PX_MUST_USE enum px_code px_tabular_make(const struct px_tensor_spec *spec,
                                         const struct px_tensor *like, struct px_arena *arena,
                                         struct px_tensor *ret, char **ret_bytes,
                                         struct px_err *err);
/* The same of [n_rows, n_cols], or of [n_rows] when the spec has one dimension. */
PX_MUST_USE enum px_code px_tabular_make_table(const struct px_tensor_spec *spec, size_t n_rows,
                                               size_t n_cols, struct px_arena *arena,
                                               struct px_tensor *ret, char **ret_bytes,
                                               struct px_err *err);
/* Gives a tensor of BYTES its elements. */
PX_MUST_USE enum px_code px_tabular_set_texts(struct px_tensor *tensor, const struct px_str *texts,
                                              size_t n, struct px_arena *arena, struct px_err *err);

/* ---- element by element ---- */

/*
 * A processor whose only output is a number for each element. `map` turns a run of elements into their results, in place; the first of
 * them is in `column` (0 where there is no table), and after the last column of a row comes the first of the next.
 */
struct px_tabular_map {
    struct px_tabular table;
    void (*map)(const struct px_tabular_map *map, double *values, size_t n, size_t column);
};
static inline size_t px_tabular_next_column(const struct px_tabular_map *map, size_t column)
{
    return column + 1 < map->table.n_cols ? column + 1 : 0;
}
/* Adds the output `output` of `type` to an initialised processor, and `apply`. */
PX_MUST_USE enum px_code px_tabular_map_init(struct px_tabular_map *map, enum px_datatype type,
                                             struct px_arena *arena, struct px_err *err);

#endif
