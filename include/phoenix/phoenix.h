/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libphoenix: tree ensembles scored exactly as the library that trained them scores them, and fast; and models of
 * tensors (graphs, ONNX models, plug-ins), computed as `phoenix predict` and `phoenix serve` compute them.
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
 * - A session is any model ready to be run with named tensors: a graph, an ONNX model, a package that names an engine, and a tree
 *   model as well. phx_session_run gives a result, which owns the outputs.
 *
 * Exactness. XGBoost compares and adds 32-bit floats, LightGBM and CatBoost 64-bit doubles, an ONNX graph what it
 * declares, and so does this library, with the same order of additions: scores are equal to the bit, and do not depend on the number of rows, threads or
 * the processor. Both predict functions take any model. Doubles for a 32-bit model are rounded to nearest, as
 * XGBoost rounds them; floats for a 64-bit model are widened without loss; scores that are asked for as floats
 * of a 64-bit model are rounded to nearest. docs/api/library.md has the details.
 *
 * Threads. Any number of threads may use one model at once, without locks, as long as nobody is inside
 * phx_model_set_threads or phx_model_close; so may they one session, as long as nobody is inside phx_session_close. There is
 * no global state: two models know nothing of each other.
 *
 * Memory. Of models: after the first calls nothing is allocated: each call borrows scratch memory from the model, which keeps
 * as much as there have been calls at once, up to 64.
 *
 * Environment. PHOENIX_KERNEL=NAME forces one kernel for every model, as everywhere in Phoenix: for tests and
 * comparisons. Scores do not change; phx_model_open fails for a name that is none. Sessions look for ONNX Runtime and plug-ins
 * where the environment says (docs/api/library.md). Nothing else is looked up.
 *
 * The library prints nothing, installs no signal handlers and never ends the process because of what it is given:
 * a bad file or argument is an error. It needs the C library, libm and libyaml; ONNX Runtime and plug-ins are loaded when
 * a model needs them. What is declared here stays as
 * it is for as long as the soname does; see docs/adr/0010-libphoenix.md.
 */
#ifndef PHOENIX_PHOENIX_H
#define PHOENIX_PHOENIX_H

#include <phoenix/tensor.h>
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
    PHX_INVALID =
        10, /* an argument: a NULL, a stride below the features, an unknown flag, a wrong tensor */
    /* of sessions */
    PHX_UNSUPPORTED = 15,
    PHX_TOO_LARGE = 30,
    PHX_OVERLOADED = 33, /* as many runs wait as may; the same may succeed later */
    PHX_LIMITED = 34,    /* another server wants fewer requests */
    PHX_DEADLINE = 51,   /* a step's timeout */
    PHX_UNAVAILABLE = 52,
    PHX_CANCELLED = 53,
    PHX_CORRUPT = 70,
    PHX_NO_MEMORY = 72,
    PHX_INTERNAL = 73
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

/* ---- models of tensors ---- */

/* A model ready to be run with tensors, and what one run gave: opaque. */
typedef struct phx_session phx_session;
typedef struct phx_result phx_result;

/* Opens and checks any model, as phx_model_open does with trees. NULL on failure; `err` says why. */
PHX_API phx_session *phx_session_open(const char *path, char *err, size_t err_cap);

/* Frees the session, whose results have been freed. NULL is fine. In a child of fork it does nothing. */
PHX_API void phx_session_close(phx_session *session);

/* What the model takes and gives. Lives as long as the session; NULL for NULL. */
PHX_API const phx_specs *phx_session_specs(const phx_session *session);

/*
 * Computes on the given inputs, in any order, and waits for the end. `outputs` names what is wanted, in that order; NULL and 0:
 * everything that the model gives. The inputs are the caller's again when the call returns. The result is freed by
 * phx_result_free, also when it is an error; NULL only when there is no memory for it, which the functions below take for an error
 * as well.
 */
PHX_API phx_result *phx_session_run(phx_session *session, const phx_tensor *inputs, size_t n_inputs,
                                    const char *const *outputs, size_t n_outputs);

/* PHX_OK or why there are no outputs; in words and with names, "" for PHX_OK. */
PHX_API int phx_result_code(const phx_result *result);
PHX_API const char *phx_result_error(const phx_result *result);

/* The outputs, and in `*n` how many; NULL and 0 after an error. Their names and bytes live as long as the result. */
PHX_API const phx_tensor *phx_result_outputs(const phx_result *result, size_t *n);

/* Steps of a graph that failed and were answered by their fallback, "deep,rules"; "" when there are none. */
PHX_API const char *phx_result_degraded(const phx_result *result);

/* Before its session is closed. NULL is fine. */
PHX_API void phx_result_free(phx_result *result);

/* ---- the library ---- */

/* What a code means, in words; never NULL. */
PHX_API const char *phx_error_text(int code);

/* The version of the library that is running, "0.1.0". */
PHX_API const char *phx_version(void);

#ifdef __cplusplus
}
#endif

#endif
