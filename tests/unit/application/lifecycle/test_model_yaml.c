/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "application/lifecycle/model_yaml.h"
#include "application/lifecycle/package.h"
#include "shared/alloc.h"

static struct px_arena arena;
static struct px_model_yaml yaml;
static struct px_err err;

static enum px_code parse(const char *text)
{
    px_arena_deinit(&arena);
    arena = px_arena(1 << 20);
    err = (struct px_err){0};
    return px_model_yaml_parse(px_str(text), &arena, &yaml, &err);
}

PX_TEST(every_key_is_read)
{
    CHECK_OK(parse("phoenix: 1\nname: bank\nmodel: m.ubj\nrounds: best\ntask: binary\n"
                   "target: y\noutput: risk\nlabels: ['no', 'yes']\n"
                   "features:\n  - {name: age}\n"
                   "  - {name: job, type: category, categories: [a, b], other: 2}\n"
                   "golden: g.csv\nreference: r.csv\ntraining: {x: [1]}\n"));
    CHECK_STR(yaml.name, "bank");
    CHECK_STR(yaml.model, "m.ubj");
    CHECK_STR(yaml.rounds, "best");
    CHECK_INT(yaml.task, PX_TASK_BINARY);
    CHECK_STR(yaml.output, "risk");
    CHECK_INT(yaml.n_labels, 2);
    CHECK_STR(yaml.labels[1], "yes");
    CHECK_INT(yaml.n_features, 2);
    CHECK_INT(yaml.features[0].kind, PX_FEATURE_NUMBER);
    CHECK_INT(yaml.features[0].other, -1);
    CHECK_INT(yaml.features[1].n_categories, 2);
    CHECK_INT(yaml.features[1].other, 2);
    CHECK_STR(yaml.golden, "g.csv");
    CHECK_STR(yaml.reference, "r.csv");
}

PX_TEST(only_the_model_is_required)
{
    CHECK_OK(parse("phoenix: 1\nmodel: m.json\n"));
    CHECK(yaml.name.ptr == NULL);
    CHECK(yaml.features == NULL);
    CHECK(yaml.labels == NULL);
    CHECK_INT(yaml.task, 0);
    CHECK_INT(parse("phoenix: 1\n"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "'model'");
    CHECK_INT(parse(""), PX_E_INVALID);
}

PX_TEST(buckets_are_checked)
{
    CHECK_INT(parse("phoenix: 1\nmodel: m\nfeatures:\n"
                    "  - {name: a, type: category, categories: [x], other: 2}\n"),
              PX_E_INVALID);
    CHECK_CONTAINS(err.message, "line 4");
    CHECK_CONTAINS(err.message, "from 0 to 1, got 2");
    CHECK_INT(parse("phoenix: 1\nmodel: m\nfeatures:\n  - {name: a, other: 0}\n"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "cannot have 'other'");
}

/* Texts that YAML would read as something else, or that end a flow sequence. */
static const struct px_str awkward[] = {
    PX_STR("admin."), PX_STR("no"),     PX_STR("1"),        PX_STR("1.5e3"), PX_STR("null"),
    PX_STR("~"),      PX_STR(""),       PX_STR("a, b"),     PX_STR("[x]"),   PX_STR("{y}"),
    PX_STR("it's"),   PX_STR("\"q\""),  PX_STR("a: b"),     PX_STR("# c"),   PX_STR(" blank "),
    PX_STR("a\\b"),   PX_STR("l\nine"), PX_STR("\ttab"),    PX_STR("- d"),   PX_STR("&a"),
    PX_STR("*b"),     PX_STR("!t"),     PX_STR("%p"),       PX_STR("@at"),   PX_STR("`g`"),
    PX_STR("a #b"),   PX_STR("x:"),     PX_STR("\xc3\xa4"), PX_STR("true"),  PX_STR("?"),
};

PX_TEST(what_is_written_is_read_back)
{
    struct px_feature features[] = {
        {.name = PX_STR("age: years, {whole}"), .kind = PX_FEATURE_NUMBER, .other = -1},
        {.name = PX_STR("job"),
         .kind = PX_FEATURE_CATEGORY,
         .categories = awkward,
         .n_categories = PX_ARRAY_LEN(awkward),
         .other = PX_ARRAY_LEN(awkward)},
        {.name = PX_STR("yes"), .kind = PX_FEATURE_BOOLEAN, .other = -1},
        {.name = PX_STR("#when"), .kind = PX_FEATURE_DATETIME, .other = -1},
    };
    struct px_signature signature = {.features = features,
                                     .n_features = PX_ARRAY_LEN(features),
                                     .task = PX_TASK_MULTICLASS,
                                     .output_name = PX_STR("predictions"),
                                     .labels = awkward,
                                     .n_labels = PX_ARRAY_LEN(awkward)};
    struct px_package_description description = {
        .name = PX_STR("bank"),
        .model_file = PX_STR("model.ubj"),
        .rounds = PX_STR("best"),
        .target = PX_STR("no"),
        .golden_file = PX_STR("golden.csv"),
        .signature = &signature,
        .training = PX_STR("  rows: 10\n  note: [a, b]"),
    };
    struct px_buf text = px_buf(1 << 20);
    px_package_describe(&description, &text);
    CHECK_OK(parse(px_buf_cstr(&text)));
    CHECK_STR(yaml.target, "no");
    CHECK_STR(yaml.rounds, "best");
    CHECK(yaml.reference.ptr == NULL);
    CHECK_INT(yaml.n_features, PX_ARRAY_LEN(features));
    for (size_t i = 0; i < yaml.n_features; i++) {
        CHECK(px_str_eq(yaml.features[i].name, features[i].name));
        CHECK_INT(yaml.features[i].kind, features[i].kind);
        CHECK_INT(yaml.features[i].other, features[i].other);
    }
    CHECK_INT(yaml.features[1].n_categories, PX_ARRAY_LEN(awkward));
    for (size_t i = 0; i < PX_ARRAY_LEN(awkward); i++) {
        CHECK(px_str_eq(yaml.features[1].categories[i], awkward[i]));
        CHECK(px_str_eq(yaml.labels[i], awkward[i]));
    }
    px_buf_deinit(&text);
}

PX_TEST(no_failing_allocation_crashes)
{
    const char *text = "phoenix: 1\nmodel: m\nlabels: [a, b]\nfeatures:\n"
                       "  - {name: a, type: category, categories: [x, y]}\n";
    for (uint64_t n = 1; n < 100; n++) {
        px_alloc_fail_at(n);
        enum px_code code = parse(text);
        px_alloc_fail_at(0);
        if (code == PX_OK)
            return;
        CHECK(err.code == code && err.message[0]);
    }
    CHECK(false);
}

PX_TEST_MAIN(T(every_key_is_read) T(only_the_model_is_required) T(buckets_are_checked)
                 T(what_is_written_is_read_back) T(no_failing_allocation_crashes))
