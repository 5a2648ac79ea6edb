/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/readers/lightgbm/lightgbm_objective.h"

#include "shared/number.h"

#include <inttypes.h>
#include <math.h>

/* A value estimates the label itself, a margin is only its sign or its order. */
enum outcome { OUTCOME_VALUE, OUTCOME_MARGIN, OUTCOME_BINARY, OUTCOME_MULTICLASS };

struct objective {
    const char *name;
    enum px_transform_kind transform;
    enum outcome outcome;
    bool takes_sqrt; /* the flag `sqrt` squares the output */
};

static const struct objective objectives[] = {
    {"regression", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"regression_l2", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"mean_squared_error", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"mse", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"l2", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"l2_root", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"root_mean_squared_error", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"rmse", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"regression_l1", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"mean_absolute_error", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"l1", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"mae", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"huber", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, false},
    {"fair", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"quantile", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"mape", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"mean_absolute_percentage_error", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE, true},
    {"poisson", PX_TRANSFORM_EXP, OUTCOME_VALUE, false},
    {"gamma", PX_TRANSFORM_EXP, OUTCOME_VALUE, false},
    {"tweedie", PX_TRANSFORM_EXP, OUTCOME_VALUE, false},
    {"binary", PX_TRANSFORM_SIGMOID, OUTCOME_BINARY, false},
    {"multiclass", PX_TRANSFORM_SOFTMAX, OUTCOME_MULTICLASS, false},
    {"softmax", PX_TRANSFORM_SOFTMAX, OUTCOME_MULTICLASS, false},
    {"multiclassova", PX_TRANSFORM_SIGMOID, OUTCOME_MULTICLASS, false},
    {"multiclass_ova", PX_TRANSFORM_SIGMOID, OUTCOME_MULTICLASS, false},
    {"ova", PX_TRANSFORM_SIGMOID, OUTCOME_MULTICLASS, false},
    {"ovr", PX_TRANSFORM_SIGMOID, OUTCOME_MULTICLASS, false},
    {"cross_entropy", PX_TRANSFORM_SIGMOID, OUTCOME_VALUE, false},
    {"xentropy", PX_TRANSFORM_SIGMOID, OUTCOME_VALUE, false},
    {"cross_entropy_lambda", PX_TRANSFORM_LOG1P_EXP, OUTCOME_VALUE, false},
    {"xentlambda", PX_TRANSFORM_LOG1P_EXP, OUTCOME_VALUE, false},
    {"lambdarank", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN, false},
    {"rank_xendcg", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN, false},
    {"custom", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN, false},
    {"none", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN, false},
};

static const struct objective *find(struct px_str name)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(objectives); i++) {
        if (px_str_is(name, objectives[i].name))
            return &objectives[i];
    }
    return NULL;
}

static enum px_code refuse(struct px_str name, struct px_err *err)
{
    struct px_str names[PX_ARRAY_LEN(objectives)];
    for (size_t i = 0; i < PX_ARRAY_LEN(objectives); i++)
        names[i] = px_str(objectives[i].name);
    long nearest = px_str_nearest(name, names, PX_ARRAY_LEN(objectives));
    enum px_code code = px_err_set(err, PX_E_UNSUPPORTED,
                                   "LightGBM objective '%.*s' is not supported", PX_STR_ARG(name));
    if (nearest >= 0)
        px_err_hint(err, "the nearest supported one is '%s'", objectives[nearest].name);
    else
        px_err_hint(err, "remove the line 'objective=' to serve raw scores");
    return code;
}

/* One word after the name: key:value, or a flag. */
static enum px_code take_word(const struct objective *objective, struct px_str word,
                              struct px_forest_ir *ir, struct px_err *err)
{
    struct px_str value = word;
    struct px_str key = px_str_cut(&value, ':');
    int64_t classes;
    if (px_str_is(word, "sqrt") && objective->takes_sqrt) {
        ir->transform.kind = PX_TRANSFORM_SQUARE;
    } else if (px_str_is(key, "num_class") && objective->outcome == OUTCOME_MULTICLASS) {
        if (!px_str_to_i64(value, &classes) || classes < 0 || (uint64_t)classes != ir->n_margins)
            return px_err_set(err, PX_E_CORRUPT,
                              "objective: '%.*s', but there are %zu trees per iteration",
                              PX_STR_ARG(word), ir->n_margins);
    } else if (px_str_is(key, "sigmoid") && objective->transform == PX_TRANSFORM_SIGMOID) {
        if (!px_str_to_f64(value, &ir->transform.alpha) || !(ir->transform.alpha > 0.0) ||
            isinf(ir->transform.alpha))
            return px_err_set(err, PX_E_CORRUPT, "objective: '%.*s' must be a positive number",
                              PX_STR_ARG(word));
    }
    return PX_OK;
}

static enum px_code check_classes(const struct objective *objective, const struct px_forest_ir *ir,
                                  struct px_err *err)
{
    bool multiclass = objective->outcome == OUTCOME_MULTICLASS;
    if (multiclass && ir->n_margins < 2)
        return px_err_set(err, PX_E_CORRUPT, "objective '%s' with one tree per iteration",
                          objective->name);
    if (objective->outcome == OUTCOME_BINARY && ir->n_margins != 1)
        return px_err_set(err, PX_E_CORRUPT, "objective '%s' with %zu trees per iteration",
                          objective->name, ir->n_margins);
    return PX_OK;
}

/* The score of cross_entropy_lambda is -log(1 - p). */
static double decision_threshold(const struct objective *objective)
{
    if (objective->transform == PX_TRANSFORM_LOG1P_EXP)
        return M_LN2;
    return objective->outcome == OUTCOME_MARGIN ? 0.0 : 0.5;
}

enum px_code px_lightgbm_take_objective(struct px_str line, bool before_3_3,
                                        struct px_forest_ir *ir, struct px_err *err)
{
    struct px_str rest = px_str_trim(line);
    struct px_str name = rest.len ? px_str_cut(&rest, ' ') : px_str("custom");
    const struct objective *objective = find(name);
    if (!objective)
        return refuse(name, err);
    ir->objective = px_arena_str(&ir->arena, name);
    if (!ir->objective.ptr)
        return px_ir_no_memory(err);
    ir->transform = (struct px_transform){.kind = objective->transform, .alpha = 1.0};
    if (before_3_3 && objective->transform == PX_TRANSFORM_LOG1P_EXP)
        ir->transform.kind = PX_TRANSFORM_LOG_EXP;
    enum px_code code = check_classes(objective, ir, err);
    while (code == PX_OK && px_str_trim(rest).len) {
        rest = px_str_trim(rest);
        code = take_word(objective, px_str_cut(&rest, ' '), ir, err);
    }
    ir->score_is_probability =
        objective->outcome == OUTCOME_BINARY || objective->outcome == OUTCOME_MULTICLASS;
    ir->decision_threshold = decision_threshold(objective);
    if (objective->outcome == OUTCOME_BINARY)
        ir->n_classes = 2;
    else if (objective->outcome == OUTCOME_MULTICLASS)
        ir->n_classes = ir->n_margins;
    return code;
}
