/* SPDX-License-Identifier: Apache-2.0 */
/* Golden requests of a model of tensors, compared. Cases run one after the other, so that a sequence is one. */
#include "application/lifecycle/check.h"
#include "application/lifecycle/golden.h"

#include "shared/file.h"

struct comparing {
    const struct px_package *package;
    struct px_golden golden;
    struct px_golden_report *report;
    struct px_arena arena; /* of one run */
    bool worst_has_numbers;
    char reason[PX_ERR_MESSAGE_MAX]; /* of a difference without numbers */
};

static void note(struct comparing *c, size_t number, const struct px_tensor *expected,
                 const struct px_tensor *got, const struct px_golden_difference *d)
{
    struct px_golden_report *r = c->report;
    char a[PX_TENSOR_SHAPE_TEXT_MAX], b[PX_TENSOR_SHAPE_TEXT_MAX];
    if (r->worst_line)
        return; /* the first is where to look */
    r->worst_line = number;
    r->worst_expected = d->expected;
    r->worst_got = d->got;
    c->worst_has_numbers = d->has_numbers;
    snprintf(r->worst_column, sizeof r->worst_column, "%.*s[%zu]", PX_STR_ARG(expected->name),
             d->element);
    if (!d->has_numbers)
        snprintf(c->reason, sizeof c->reason, "expected %s %s, got %s %s",
                 px_datatype_name(expected->type), px_tensor_shape_text(expected, a),
                 px_datatype_name(got->type), px_tensor_shape_text(got, b));
}

static enum px_code compare_case(struct comparing *c, size_t number, struct px_err *err)
{
    const struct px_golden_case *expected = &c->golden.cases[number];
    struct px_run run;
    bool different = false;
    enum px_code code = px_golden_run(c->package->engine, expected, &c->arena, &run, err);
    for (size_t i = 0; i < expected->n_outputs && code == PX_OK; i++) {
        struct px_golden_difference d;
        px_golden_compare(&expected->outputs[i], &run.outputs[i], c->golden.tolerance, &d);
        if (!d.differs)
            continue;
        different = true;
        note(c, number + 1, &expected->outputs[i], &run.outputs[i], &d);
    }
    px_run_release(&run);
    c->report->n_rows++;
    c->report->n_different += different;
    return code == PX_OK ? PX_OK : px_err_wrap(err, "golden request %zu", number + 1);
}

static enum px_code judge(const struct comparing *c, struct px_err *err)
{
    const struct px_golden_report *r = c->report;
    if (r->n_different == 0)
        return PX_OK;
    if (c->worst_has_numbers)
        px_err_set(
            err, PX_E_CONFLICT,
            "%zu of %zu golden requests are answered differently; the first is request %llu, "
            "%s: expected %.9g, got %.9g",
            r->n_different, r->n_rows, (unsigned long long)r->worst_line, r->worst_column,
            r->worst_expected, r->worst_got);
    else
        px_err_set(
            err, PX_E_CONFLICT,
            "%zu of %zu golden requests are answered differently; the first is request %llu, "
            "%s: %s",
            r->n_different, r->n_rows, (unsigned long long)r->worst_line, r->worst_column,
            c->reason);
    return px_err_hint(err,
                       "the golden requests come from another model, or 'tolerance' is too small");
}

enum px_code px_check_golden_requests(const struct px_package *package, const char *path,
                                      struct px_golden_report *ret, struct px_err *err)
{
    struct comparing c = {
        .package = package, .report = ret, .arena = px_arena(PX_GOLDEN_BYTES_MAX)};
    struct px_arena arena = px_arena(PX_GOLDEN_BYTES_MAX);
    struct px_file file = {0};
    *ret = (struct px_golden_report){0};
    enum px_code code = px_file_load(&file, path, PX_GOLDEN_BYTES_MAX, err);
    if (code != PX_OK)
        return code;
    code = px_golden_parse(file.bytes, &arena, &c.golden, err);
    for (size_t i = 0; i < c.golden.n_cases && code == PX_OK; i++) {
        px_arena_reset(&c.arena);
        code = compare_case(&c, i, err);
    }
    if (code == PX_OK)
        code = judge(&c, err);
    px_arena_deinit(&c.arena);
    px_arena_deinit(&arena);
    px_file_unload(&file);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "%s", path);
}
