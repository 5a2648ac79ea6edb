/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "application/lifecycle/check.h"
#include "shared/alloc.h"
#include "shared/file.h"
#include "tiny_model.h"

#include <unistd.h>

static const char yaml[] = "phoenix: 1\nmodel: m.txt\ntarget: price\noutput: euros\n"
                           "features:\n  - {name: age}\n  - {name: amount, type: boolean}\n"
                           "golden: g.csv\n";
static const char golden[] = "age,amount,price,score\n20,no,1,11\n40,yes,2,22.0\n,,,22\n";

static char folder[] = "/tmp/px_package_XXXXXX";
static const char *const names[] = {"m.txt", "model.yaml", "g.csv"};
static struct px_err err;

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    CHECK_OK(px_file_write(path_of(name), px_str(text), &err));
}

static struct px_package *open_package(void)
{
    struct px_package *package = NULL;
    err = (struct px_err){0};
    return px_package_open(folder, NULL, &package, &err) == PX_OK ? package : NULL;
}

PX_TEST(a_folder_is_made)
{
    CHECK(mkdtemp(folder));
    put("m.txt", tiny_model);
    put("model.yaml", yaml);
    put("g.csv", golden);
}

PX_TEST(the_signature_comes_from_both_files)
{
    struct px_package *p = open_package();
    CHECK(p);
    CHECK(!p->bare);
    CHECK(px_str_starts(p->name, "px_package_"));
    CHECK_STR(p->target, "price");
    CHECK_STR(p->signature.output_name, "euros");
    CHECK_INT(p->signature.task, PX_TASK_REGRESSION);
    CHECK_INT(p->signature.features[1].kind, PX_FEATURE_BOOLEAN);
    CHECK_INT(px_signature_find(&p->signature, px_str("amount")), 1);
    CHECK_INT(p->model_size, strlen(tiny_model));
    px_package_close(p);
}

PX_TEST(golden_rows_are_compared_by_value)
{
    struct px_package *p = open_package();
    struct px_check_report report;
    CHECK(p);
    CHECK_OK(px_check_package(p, NULL, &report, &err));
    CHECK(report.self_test_passed);
    CHECK_INT(report.golden.n_rows, 3);
    put("g.csv", "age,amount,score\n20,no,11\n40,yes,22.000000000000004\n");
    CHECK_INT(px_check_package(p, NULL, &report, &err), PX_E_CONFLICT);
    CHECK_INT(report.golden.n_different, 1);
    CHECK_INT(report.golden.worst_line, 3);
    CHECK_DOUBLE(report.golden.worst_got, 22);
    CHECK_CONTAINS(err.message, "expected 22.000000000000004, got 22");
    put("g.csv", golden);
    px_package_close(p);
}

PX_TEST(the_path_of_the_model_file_means_the_package)
{
    struct px_package *p = NULL;
    CHECK_OK(px_package_open(path_of("m.txt"), NULL, &p, &err));
    CHECK(!p->bare);
    CHECK_STR(p->signature.output_name, "euros");
    px_package_close(p);
    char other[512]; /* however the path is spelt */
    snprintf(other, sizeof other, "%s/.//m.txt", folder);
    CHECK_OK(px_package_open(other, NULL, &p, &err));
    CHECK(!p->bare);
    px_package_close(p);
    CHECK(symlink("m.txt", path_of("link.txt")) == 0);
    CHECK_OK(px_package_open(path_of("link.txt"), NULL, &p, &err));
    CHECK(!p->bare);
    px_package_close(p);
    unlink(path_of("link.txt"));
}

PX_TEST(no_failing_allocation_crashes)
{
    for (uint64_t n = 1; n < 2000; n++) {
        px_alloc_fail_at(n);
        struct px_package *p = open_package();
        px_alloc_fail_at(0);
        if (p) {
            px_package_close(p);
            return;
        }
        CHECK(err.code != PX_OK && err.message[0]);
    }
    CHECK(false);
}

PX_TEST(no_failing_allocation_crashes_the_comparison)
{
    struct px_package *p = open_package();
    CHECK(p);
    for (uint64_t n = 1; n < 200; n++) {
        struct px_golden_report report;
        px_alloc_fail_at(n);
        enum px_code code = px_check_golden(p, p->golden_path.ptr, &report, &err);
        px_alloc_fail_at(0);
        if (code == PX_OK) {
            px_package_close(p);
            return;
        }
    }
    CHECK(false);
}

PX_TEST(the_folder_is_removed)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++)
        unlink(path_of(names[i]));
    CHECK_INT(rmdir(folder), 0);
}

PX_TEST_MAIN(T(a_folder_is_made) T(the_signature_comes_from_both_files)
                 T(golden_rows_are_compared_by_value)
                     T(the_path_of_the_model_file_means_the_package)
                         T(no_failing_allocation_crashes)
                             T(no_failing_allocation_crashes_the_comparison)
                                 T(the_folder_is_removed))
