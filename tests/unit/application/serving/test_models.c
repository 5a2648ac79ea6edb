/* SPDX-License-Identifier: Apache-2.0 */
/* What an argument of `phoenix serve` loads: files, packages, repositories, broken ones among them. */
#include "application/serving/serving_impl.h"
#include "shared/file.h"
#include "tiny_model.h"

#include "harness.h"

#include <ftw.h>
#include <unistd.h>

static char root[64];
static struct px_serving *serving;

static void set_up(void)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 100, .batch_rows_max = 16, .wave_bytes_max = 1 << 26};
    snprintf(root, sizeof root, "/tmp/px-models-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    CHECK_OK(px_serving_create(1, &limits, &serving, NULL));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void tear_down(void)
{
    px_serving_destroy(serving);
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of `name` below the temporary folder; valid until the next call. */
static const char *at(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void put(const char *folder, const char *file, const char *text)
{
    char path[256];
    CHECK_OK(px_file_mkdirs(at(folder), NULL));
    snprintf(path, sizeof path, "%s/%s/%s", root, folder, file);
    CHECK_OK(px_file_write(path, px_str(text), NULL));
}

static struct px_model *find(const char *name, const char *version)
{
    return px_serving_find(serving, px_str(name), px_str(version), NULL);
}

PX_TEST(a_bare_file_is_named_after_itself)
{
    set_up();
    put(".", "churn.v2.txt", tiny_model);
    CHECK_OK(px_serving_add(serving, at("churn.v2.txt"), NULL));
    const struct px_model *model = find("churn.v2", "1");
    CHECK(model != NULL);
    CHECK_STR(model->version, "1");
    CHECK_STR(model->signature->features[0].name, "age");
    CHECK_CONTAINS(model->sample_json.ptr, "\"age\":");
    tear_down();
}

PX_TEST(a_name_may_be_given)
{
    char argument[300];
    set_up();
    put(".", "m.txt", tiny_model);
    snprintf(argument, sizeof argument, "fraud=%s/m.txt", root);
    CHECK_OK(px_serving_add(serving, argument, NULL));
    CHECK(find("fraud", "") != NULL);
    tear_down();
}

PX_TEST(a_repository_holds_models_and_versions_in_numeric_order)
{
    set_up();
    put("repo/a/2", "model.txt", tiny_model);
    put("repo/a/10", "model.txt", tiny_model);
    put("repo/b/1", "anything.txt", tiny_model);
    put("repo/.hidden/1", "model.txt", tiny_model);
    CHECK_OK(px_serving_add(serving, at("repo"), NULL));
    CHECK_INT(px_serving_models(serving)->n_models, 3);
    CHECK_STR(find("a", "")->version, "10");
    CHECK(find("b", "1") != NULL);
    tear_down();
}

PX_TEST(a_broken_version_is_listed_and_the_latest_ready_one_answers)
{
    struct px_err err;
    set_up();
    put("repo/a/1", "model.txt", tiny_model);
    put("repo/a/2", "model.txt", "this is no model");
    put("repo/a/3", "one.txt", tiny_model);
    put("repo/a/3", "two.txt", tiny_model);
    CHECK_OK(px_serving_add(serving, at("repo"), NULL));
    CHECK_STR(find("a", "")->version, "1");
    CHECK(px_serving_find(serving, px_str("a"), px_str("2"), &err) == NULL);
    CHECK_INT(err.code, PX_E_UNAVAILABLE);
    CHECK(px_serving_find(serving, px_str("a"), px_str("3"), &err) == NULL);
    CHECK_CONTAINS(err.message, "exactly one model file");
    CHECK(px_serving_is_ready(serving, &err));
    tear_down();
}

PX_TEST(a_package_that_fails_its_check_does_not_serve)
{
    struct px_err err;
    set_up();
    put("p", "model.txt", tiny_model);
    put("p", "model.yaml",
        "phoenix: 1\nname: p\nmodel: model.txt\ntask: regression\ngolden: golden.csv\n"
        "features:\n  - {name: age, type: number}\n  - {name: amount, type: number}\n");
    put("p", "golden.csv", "age,amount,score\n20,0.1,11.0\n40,0.1,12.0\n");
    CHECK_OK(px_serving_add(serving, at("p"), NULL));
    CHECK(px_serving_find(serving, px_str("p"), px_str("1"), &err) == NULL);
    CHECK_INT(err.code, PX_E_UNAVAILABLE);
    CHECK_CONTAINS(err.message, "golden");
    tear_down();
}

PX_TEST(a_model_too_wide_for_an_example_serves)
{
    enum { FEATURES = 9000 };
    struct px_buf text = px_buf(1 << 20);
    set_up();
    px_buf_printf(&text,
                  "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
                  "max_feature_idx=%d\nobjective=regression\nfeature_names=",
                  FEATURES - 1);
    for (int i = 0; i < FEATURES; i++)
        px_buf_printf(&text, "feature_%d%s", i, i + 1 < FEATURES ? " " : "\nfeature_infos=");
    for (int i = 0; i < FEATURES; i++)
        px_buf_printf(&text, "[0:9]%s", i + 1 < FEATURES ? " " : "\n\n");
    px_buf_text(&text, strstr(tiny_model, "Tree=0"));
    CHECK(!text.failed);
    put(".", "wide.txt", px_buf_cstr(&text));
    CHECK_OK(px_serving_add(serving, at("wide.txt"), NULL));
    const struct px_model *model = find("wide", "1");
    CHECK(model != NULL && model->sample_json.len == 0);
    px_buf_deinit(&text);
    tear_down();
}

PX_TEST(arguments_that_name_nothing_are_errors)
{
    struct px_err err;
    set_up();
    CHECK_INT(px_serving_add(serving, at("absent.json"), &err), PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.message, "absent.json");
    CHECK_OK(px_file_mkdirs(at("empty"), NULL));
    CHECK_INT(px_serving_add(serving, at("empty"), &err), PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.hint, "<model>/<version>");
    CHECK(!px_serving_is_ready(serving, &err));
    tear_down();
}

PX_TEST(the_same_name_and_version_twice_is_a_conflict)
{
    struct px_err err;
    set_up();
    put(".", "m.txt", tiny_model);
    CHECK_OK(px_serving_add(serving, at("m.txt"), NULL));
    CHECK_INT(px_serving_add(serving, at("m.txt"), &err), PX_E_CONFLICT);
    CHECK_INT(px_serving_models(serving)->n_models, 1);
    tear_down();
}

PX_TEST_MAIN(T(a_bare_file_is_named_after_itself) T(a_name_may_be_given)
                 T(a_repository_holds_models_and_versions_in_numeric_order)
                     T(a_broken_version_is_listed_and_the_latest_ready_one_answers)
                         T(a_package_that_fails_its_check_does_not_serve)
                             T(a_model_too_wide_for_an_example_serves)
                                 T(arguments_that_name_nothing_are_errors)
                                     T(the_same_name_and_version_twice_is_a_conflict))
