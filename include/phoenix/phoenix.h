/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libphoenix: tree ensembles scored exactly as the library that trained them scores them, and fast.
 *
 *     char err[256];
 *     phx_model *model = phx_model_open("model.json", err, sizeof err);
 *     if (!model)
 *         ... err says why
 *     float score;
 *     phx_model_predict_f32(model, row, 1, phx_model_features(model), &score, 0);
 *     phx_model_close(model);
 *
 * Concepts
 * - A model is a file of XGBoost (JSON, UBJSON) or LightGBM (text) or of another format that `phoenix check`
 *   takes, found by its content; or a package, a folder with a model.yaml. A file that a model.yaml beside it
 *   names is that package, so that `rounds: best` counts however the model is opened.
 * - A row is the model's features in their order, as numbers: row r, feature f is rows[r * stride + f]. NaN is a
 *   missing value. A category is its code, the number that the training library was given for it; names
 *   of categories are not looked up. phx_model_feature_name and phx_model_info tell the order and the codes.
 * - A score is what the training library's predict returns (a probability, a value, one per class); a margin
 *   is the sum of the trees before the objective's transform.
 *
 * Exactness. XGBoost compares and adds 32-bit floats, LightGBM and CatBoost 64-bit doubles, an ONNX graph what it
 * declares, and so does this library, with the same order of additions: scores are equal to the bit, and do not depend on the number of rows, threads or
 * the processor. Both predict functions take any model. Doubles for a 32-bit model are rounded to nearest, as
 * XGBoost rounds them; floats for a 64-bit model are widened without loss; scores that are asked for as floats
 * of a 64-bit model are rounded to nearest. docs/api/library.md has the details.
 *
 * Threads. Any number of threads may use one model at once, without locks, as long as nobody is inside
 * phx_model_set_threads or phx_model_close. There is no global state: two models know nothing of each other.
 *
 * Memory. After the first calls nothing is allocated: each call borrows scratch memory from the model, which keeps
 * as much as there have been calls at once, up to 64.
 *
 * Environment. PHOENIX_KERNEL=NAME forces one kernel for every model, as everywhere in Phoenix: for tests and
 * comparisons. Scores do not change; phx_model_open fails for a name that is none. Nothing else is looked up.
 *
 * The library prints nothing, installs no signal handlers and never ends the process because of what it is given:
 * a bad file or argument is an error. It needs the C library, libm and libyaml. What is declared here stays as
 * it is for as long as the soname does; see docs/adr/0010-libphoenix.md.
 */
#ifndef PHOENIX_PHOENIX_H
#define PHOENIX_PHOENIX_H

#include <stddef.h>

#define PHX_VERSION_MAJOR 0
#define PHX_VERSION_MINOR 1
#define PHX_VERSION_PATCH 0

#if defined(__GNUC__)
#define PHX_API __attribute__((visibility("default")))
#else
#define PHX_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A model in memory: opaque, made by phx_model_open. */
typedef struct phx_model phx_model;

/* What functions return; more may be added, so treat every value but 0 as a failure. */
enum phx_code {
    PHX_OK = 0,
    PHX_INVALID = 10, /* an argument: a NULL, a stride below the features, an unknown flag */
    PHX_NO_MEMORY = 72
};

enum phx_flags {
    PHX_MARGIN = 1,  /* margins instead of scores: `out` is [n_rows, phx_model_margins] */
    PHX_PARALLEL = 2 /* large batches on several threads; without it, only on the caller's */
};

/*
 * Opens a model file or package and tests the kernels that will score it. Returns NULL on failure; `err` then
 * says what is wrong, where, and how to mend it, in one line of at most `err_cap` bytes with its NUL (256 hold most;
 * NULL and 0 are fine). The file is not needed afterwards.
 */
PHX_API phx_model *phx_model_open(const char *path, char *err, size_t err_cap);

/* Frees the model and ends its threads. NULL is fine. */
PHX_API void phx_model_close(phx_model *model);

/* Numbers per row, scores per row, and margins per row, which differ where a class is picked
 * (multi:softmax has one score, the class, and a margin per class). 0 for NULL. */
PHX_API size_t phx_model_features(const phx_model *model);
PHX_API size_t phx_model_outputs(const phx_model *model);
PHX_API size_t phx_model_margins(const phx_model *model);

/* The name of a feature, "f0", "f1"... where the model has none. NULL when there is no such feature.
 * Lives as long as the model. */
PHX_API const char *phx_model_feature_name(const phx_model *model, size_t feature);

/*
 * Facts as a JSON object: format, objective, features with their types and categories, labels, sizes, and the
 * plan: which kernel scores how many rows, and what a row costs. Members may be added. Lives as long as the
 * model; NULL for NULL.
 */
PHX_API const char *phx_model_info(const phx_model *model);

/*
 * Scores `n_rows` rows into `out`, [n_rows, outputs] without gaps. `stride` is the distance of one row to the next
 * in elements, at least phx_model_features(model). `out` must not overlap `rows`. Returns 0, PHX_INVALID (nothing was
 * written), or PHX_NO_MEMORY (`out` is partly written), which only happens in the first calls of a thread.
 */
PHX_API int phx_model_predict_f32(const phx_model *model, const float *rows, size_t n_rows,
                                  size_t stride, float *out, unsigned flags);
PHX_API int phx_model_predict_f64(const phx_model *model, const double *rows, size_t n_rows,
                                  size_t stride, double *out, unsigned flags);

/*
 * Threads that share a call with PHX_PARALLEL, the caller's included: 0 for one per core (the default), at most
 * 256. They are started by the first such call that is worth it, which has 8,192 rows or takes a fifth of a
 * millisecond, and serve one call at a time: a call that finds them busy is done by its own thread, so no call
 * waits for another. Not while the model is in use by other threads. Returns 0 or PHX_INVALID.
 */
PHX_API int phx_model_set_threads(phx_model *model, unsigned n_threads);

/* What a code means, in words; never NULL. */
PHX_API const char *phx_error_text(int code);

/* The version of the library that is running, "0.1.0". */
PHX_API const char *phx_version(void);

#ifdef __cplusplus
}
#endif

#endif
