/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times calls of a C API from inside C, so that a benchmark in Python does not measure Python.
 *
 * Built by forest_peers.py into a shared library. Each function takes the peer's entry point and what it wants,
 * repeats the call, and returns the least time of one call in nanoseconds: the least, because all that
 * disturbs a measurement makes it longer. The budget bounds the whole; at least two rounds are made, but for
 * calls of seconds.
 */
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    ROUND_NS = 200000,    /* short calls are repeated until a round takes about this long */
    SLOW_NS = 1000000000, /* a call that takes so long is made once */
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/*
 * `call` may use `at`, which batch of the rows it is for: batches follow each other, since a processor
 * learns the branches of a row that it sees again and again.
 */
#define TIME_CALL(call)                                                                            \
    size_t at = 0;                                                                                 \
    double start = now_ns(), best = 1e30;                                                          \
    call;                                                                                          \
    double once = now_ns() - start, budget_end = now_ns() + batches->budget_ns;                    \
    if (once > SLOW_NS)                                                                            \
        return once;                                                                               \
    long n = once < ROUND_NS ? (long)(ROUND_NS / (once + 1)) + 1 : 1;                              \
    for (int round = 0; round < 2 || now_ns() < budget_end; round++) {                             \
        start = now_ns();                                                                          \
        for (long i = 0; i < n; i++, at = at + 1 < batches->n_batches ? at + 1 : 0)                \
            call;                                                                                  \
        double each = (now_ns() - start) / (double)n;                                              \
        best = each < best ? each : best;                                                          \
    }                                                                                              \
    return best

/* Batches of `n_rows` rows, one behind the other, in the element type that the peer takes. */
struct batches {
    const char *rows;
    size_t n_rows, n_features, row_bytes, n_batches;
    double budget_ns;
    void *out;
};

#define BATCH (batches->rows + at * batches->n_rows * batches->row_bytes)

/* phx_model_predict_f32, phx_model_predict_f64 */
double time_phoenix(const struct batches *batches,
                    int (*predict)(const void *, const void *, size_t, size_t, void *, unsigned),
                    const void *model)
{
    TIME_CALL(predict(model, BATCH, batches->n_rows, batches->n_features, batches->out, 1));
}

/* XGBoosterPredictFromDense; `arrays` describe the batches in JSON. */
double time_xgboost(const struct batches *batches,
                    int (*predict)(void *, const char *, const char *, void *, const uint64_t **,
                                   uint64_t *, const float **),
                    void *booster, const char *const *arrays, const char *config)
{
    const uint64_t *shape;
    uint64_t n_dimensions;
    const float *result;
    TIME_CALL(predict(booster, arrays[at], config, NULL, &shape, &n_dimensions, &result));
}

/* LGBM_BoosterPredictForMat: raw scores of doubles, row-major. */
double time_lightgbm(const struct batches *batches,
                     int (*predict)(void *, const void *, int, int32_t, int32_t, int, int, int, int,
                                    const char *, int64_t *, double *),
                     void *booster, const char *parameters)
{
    int64_t length;
    TIME_CALL(predict(booster, BATCH, 1, (int32_t)batches->n_rows, (int32_t)batches->n_features, 1,
                      1, 0, -1, parameters, &length, batches->out));
}

/* LGBM_BoosterPredictForMatSingleRowFast, with the handle that its Init made. */
double time_lightgbm_fast(const struct batches *batches,
                          int (*predict)(void *, const void *, int64_t *, double *), void *config)
{
    int64_t length;
    TIME_CALL(predict(config, BATCH, &length, batches->out));
}

/* What lleaves compiles. */
double time_lleaves(const struct batches *batches, void (*predict)(const void *, void *, int, int))
{
    TIME_CALL(predict(BATCH, batches->out, 0, (int)batches->n_rows));
}

/* What tl2cgen compiles adds one row's trees to the result; -1 as an integer would be a missing value. */
static void predict_rows(const struct batches *batches, void (*predict)(const void *, int, float *),
                         const char *rows)
{
    float *out = batches->out;
    for (size_t i = 0; i < batches->n_rows; i++) {
        out[i] = 0;
        predict(rows + i * batches->row_bytes, 1, out + i);
    }
}

double time_tl2cgen(const struct batches *batches, void (*predict)(const void *, int, float *))
{
    TIME_CALL(predict_rows(batches, predict, BATCH));
}
