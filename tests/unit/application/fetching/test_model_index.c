/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of strangers: what is read, what is refused, and what is written. */
#include "application/fetching/model_index.h"
#include "application/ports/model_store.h"
#include "shared/file.h"

#include "harness.h"

#include <ftw.h>
#include <unistd.h>

#define SHA         "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define FILES(path) "[{\"path\": \"" path "\", \"size\": 4, \"sha256\": \"" SHA "\"}]"
#define VERSION(version, folder, files)                                                            \
    "{\"version\": \"" version "\", \"folder\": \"" folder "\", \"files\": " files "}"
#define MODEL(name, versions) "{\"name\": \"" name "\", \"versions\": [" versions "]}"
#define INDEX(models)         "{\"phoenix_models\": 1, \"models\": [" models "]}"

static struct px_model_index parsed;

static enum px_code parse(const char *text, struct px_err *err)
{
    struct px_buf buf = px_buf(1 << 20);
    px_buf_text(&buf, text);
    return px_model_index_parse(&buf, &parsed, err);
}

static void check_refused(const char *text, const char *why)
{
    struct px_err err;
    CHECK_INT(parse(text, &err), PX_E_INVALID);
    if (!strstr(err.message, why))
        fprintf(stderr, "'%s' has no '%s'\n", err.message, why);
    CHECK(strstr(err.message, why) != NULL);
    px_model_index_deinit(&parsed);
}

PX_TEST(versions_are_found_in_their_order)
{
    CHECK_OK(parse(
        INDEX(MODEL("b", VERSION("10", "b/10", FILES("m.txt")) "," VERSION(
                             "9", "b/9", FILES("m.txt"))) "," MODEL("a",
                                                                    VERSION("1", "somewhere/else",
                                                                            FILES("x/m.txt")))),
        NULL));
    CHECK_INT(parsed.versions.len, 3);
    CHECK(px_str_is(parsed.versions.items[1].version, "9"));
    const struct px_index_version *found = px_model_index_find(&parsed, px_str("a"), px_str("1"));
    CHECK(found && px_str_is(found->folder, "somewhere/else"));
    CHECK_INT(found->bytes, 4);
    CHECK(!px_model_index_find(&parsed, px_str("a"), px_str("2")));
    CHECK(!px_model_index_find(&parsed, px_str("c"), px_str("1")));
    px_model_index_deinit(&parsed);
}

PX_TEST(a_version_of_equal_files_has_an_equal_key)
{
    const char *files = "[{\"path\": \"a\", \"size\": 4, \"sha256\": \"" SHA "\"},"
                        "{\"path\": \"b\", \"size\": 4, \"sha256\": \"" SHA "\"}]";
    const char *turned = "[{\"path\": \"b\", \"size\": 4, \"sha256\": \"" SHA "\"},"
                         "{\"path\": \"a\", \"size\": 4, \"sha256\": \"" SHA "\"}]";
    char text[2048];
    snprintf(text, sizeof text,
             INDEX(MODEL("a", VERSION("1", "a/1", "%s") "," VERSION("2", "a/2", "%s") "," VERSION(
                                  "3", "a/3", FILES("a")))),
             files, turned);
    CHECK_OK(parse(text, NULL));
    CHECK(strcmp(parsed.versions.items[0].key, parsed.versions.items[1].key) == 0);
    CHECK(strcmp(parsed.versions.items[0].key, parsed.versions.items[2].key) != 0);
    px_model_index_deinit(&parsed);
}

PX_TEST(keys_of_later_formats_are_passed_over)
{
    CHECK_OK(parse("{\"x\": [1], \"phoenix_models\": 1, \"models\": [{\"y\": {}, \"name\": \"a\", "
                   "\"versions\": [{\"z\": null, \"version\": \"1\", \"folder\": \"a\", "
                   "\"files\": [{\"w\": 1, \"path\": \"m\", \"size\": 4, \"sha256\": \"" SHA
                   "\"}]}]}]}",
                   NULL));
    CHECK_INT(parsed.versions.len, 1);
    px_model_index_deinit(&parsed);
    CHECK_OK(parse(INDEX(""), NULL));
    px_model_index_deinit(&parsed);
}

PX_TEST(paths_that_lead_elsewhere_are_refused)
{
    static const char *const paths[] = {"../m", "/m", "a/../m", "a/./m",     ".m",    "a/.m",
                                        "a//m", "m/", "a\\\\m", "a\\u0000m", "a\\nm", ".."};
    for (size_t i = 0; i < PX_ARRAY_LEN(paths); i++) {
        char text[1024];
        snprintf(text, sizeof text, INDEX(MODEL("a", VERSION("1", "a/1", FILES("%s")))), paths[i]);
        check_refused(text, "inside its folder");
        snprintf(text, sizeof text, INDEX(MODEL("a", VERSION("1", "%s", FILES("m")))), paths[i]);
        check_refused(text, "\"folder\" below the index");
    }
}

PX_TEST(what_cannot_be_a_repository_is_refused)
{
    check_refused("[]", "expected");
    check_refused("{}", "\"phoenix_models\": 1");
    check_refused("{\"phoenix_models\": 2, \"models\": []}", "got 2");
    check_refused(INDEX(MODEL("../a", VERSION("1", "a", FILES("m")))), "\"name\"");
    check_refused(INDEX(MODEL("a", VERSION("../1", "a", FILES("m")))), "\"version\"");
    check_refused(INDEX(MODEL("a", VERSION("1", "a", "[]"))), "\"files\"");
    check_refused(INDEX(MODEL("a", "{\"version\": \"1\", \"folder\": \"a\"}")), "\"files\"");
    check_refused(
        INDEX(MODEL("a", VERSION("1", "a", FILES("m")) "," VERSION("1", "b", FILES("m")))),
        "there twice");
    check_refused(
        INDEX(
            MODEL("a", VERSION("1", "a", "[{\"path\": \"m\", \"size\": 4, \"sha256\": \"ABC\"}]"))),
        "sha256");
    check_refused(INDEX(MODEL("a", VERSION("1", "a",
                                           "[{\"path\": \"m\", \"size\": 4, \"sha256\": "
                                           "\"../../../../../../../../../../../../../"
                                           "../../../../../../etc/pas\"}]"))),
                  "64 lower-case");
    check_refused(
        INDEX(MODEL(
            "a", VERSION("1", "a", "[{\"path\": \"m\", \"size\": -4, \"sha256\": \"" SHA "\"}]"))),
        "not negative");
    check_refused(INDEX(MODEL("a", VERSION("1", "a",
                                           "[{\"path\": \"m\", \"size\": 99999999999999999, "
                                           "\"sha256\": \"" SHA "\"}]"))),
                  "more than");
}

PX_TEST(a_file_that_is_also_a_folder_is_refused)
{
    check_refused(
        INDEX(MODEL("a", VERSION("1", "a",
                                 "[{\"path\": \"m\", \"size\": 4, \"sha256\": \"" SHA "\"},"
                                 "{\"path\": \"m/n\", \"size\": 4, \"sha256\": \"" SHA "\"}]"))),
        "also a folder");
    check_refused(
        INDEX(MODEL("a", VERSION("1", "a",
                                 "[{\"path\": \"m\", \"size\": 4, \"sha256\": \"" SHA "\"},"
                                 "{\"path\": \"m\", \"size\": 4, \"sha256\": \"" SHA "\"}]"))),
        "twice");
}

PX_TEST(no_failing_allocation_is_fatal)
{
    const char *text = INDEX(
        MODEL("a", VERSION("1", "a\\u002f1", FILES("m")) "," VERSION("2", "a/2", FILES("m"))));
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; code != PX_OK && n < 100; n++) {
        struct px_err err;
        struct px_buf buf = px_buf(1 << 20);
        px_buf_text(&buf, text);
        px_alloc_fail_at(n);
        code = px_model_index_parse(&buf, &parsed, &err);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        px_model_index_deinit(&parsed);
    }
    CHECK_OK(code);
}

/* ---- writing ---- */

static char root[64];

static void put(const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", root, path);
    char *slash = strrchr(full, '/');
    *slash = '\0';
    CHECK_OK(px_file_mkdirs(full, NULL));
    *slash = '/';
    CHECK_OK(px_file_write(full, px_str(text), NULL));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void read_back(void)
{
    char path[128];
    struct px_buf text = px_buf(1 << 20);
    snprintf(path, sizeof path, "%s/" PX_MODEL_INDEX_FILE, root);
    CHECK_OK(px_file_read(path, &text, NULL));
    CHECK_OK(px_model_index_parse(&text, &parsed, NULL));
}

PX_TEST(what_is_written_is_what_serve_would_find)
{
    size_t n;
    struct px_err err;
    snprintf(root, sizeof root, "/tmp/px-index-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    CHECK_INT(px_model_index_write(root, &n, &err), PX_E_NOT_FOUND);
    put("a/1/m.txt", "test");
    put("a/2/m.txt", "test two");
    put("a/2/.hidden", "x");
    put("a/3/m.txt", "test");
    put("a/versions.yaml", "specific: [1, 2]\n");
    put("pack/model.yaml", "phoenix: 1\nmodel: sub/m.txt\n");
    put("pack/sub/m.txt", "test");
    CHECK_OK(px_model_index_write(root, &n, NULL));
    CHECK_INT(n, 3);
    read_back();
    const struct px_index_version *one = px_model_index_find(&parsed, px_str("a"), px_str("1"));
    CHECK(one && one->n_files == 1);
    CHECK(px_str_is(parsed.files.items[one->first_file].sha256, SHA)); /* of "test" */
    CHECK(px_str_is(one->folder, "a/1"));
    CHECK(!px_model_index_find(&parsed, px_str("a"), px_str("3")));
    const struct px_index_version *pack = px_model_index_find(&parsed, px_str("pack"), px_str("1"));
    CHECK(pack && pack->n_files == 2 && px_str_is(pack->folder, "pack"));
    px_model_index_deinit(&parsed);

    put("a/1/other.txt", "which of the two?");
    CHECK_INT(px_model_index_write(root, &n, &err), PX_E_INVALID);
    CHECK(strstr(err.message, "model 'a' version 1") != NULL);
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

PX_TEST(a_manifest_that_does_not_fit_its_files_is_refused)
{
    size_t n;
    struct px_err err;
    snprintf(root, sizeof root, "/tmp/px-index-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    put("a/1/m.txt", "test");
    put("a/1/manifest.json",
        "{\"files\": [{\"path\": \"m.txt\", \"size\": 4, \"sha256\": \"" SHA "\"}]}");
    CHECK_OK(px_model_index_write(root, &n, NULL));
    put("a/1/m.txt", "longer");
    CHECK_INT(px_model_index_write(root, &n, &err), PX_E_CORRUPT);
    CHECK(strstr(err.message, "6 bytes") != NULL);
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

PX_TEST(a_url_is_told_from_a_path)
{
    CHECK(px_store_is_url(px_str("https://a/b")) && px_store_is_url(px_str("s3://a")));
    CHECK(!px_store_is_url(px_str("/a://b")) && !px_store_is_url(px_str("a=https://b")));
    CHECK(!px_store_is_url(px_str("https:/a")) && !px_store_is_url(px_str("://a")));
    CHECK(!px_store_is_url(px_str("")));
}

PX_TEST_MAIN(T(versions_are_found_in_their_order) T(a_version_of_equal_files_has_an_equal_key)
                 T(keys_of_later_formats_are_passed_over) T(paths_that_lead_elsewhere_are_refused)
                     T(what_cannot_be_a_repository_is_refused)
                         T(a_file_that_is_also_a_folder_is_refused)
                             T(no_failing_allocation_is_fatal)
                                 T(what_is_written_is_what_serve_would_find)
                                     T(a_manifest_that_does_not_fit_its_files_is_refused)
                                         T(a_url_is_told_from_a_path))
