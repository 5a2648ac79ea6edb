/* SPDX-License-Identifier: Apache-2.0 */
/* Packages with `sequence`: files of initial states, and refusals that name what model.yaml says. */
#include "harness.h"

#include "application/lifecycle/package.h"
#include "application/sequences/sequence_engine.h"
#include "memory_provider.h"

#include <unistd.h>

static char folder[] = "/tmp/px_sequence_package_XXXXXX";
static struct px_err err;

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* A package of x + y, with the running sum as its state and more of it as `entry` says. */
static struct px_package *open_with(const char *entry)
{
    struct px_package *package = NULL;
    const struct px_package_options options = {.engines = memory_engines()};
    char yaml[512];
    snprintf(yaml, sizeof yaml,
             "phoenix: 1\nengine: {name: memory, kind: add}\nsequence:\n"
             "  states: [{input: y, output: sum, show: true%s}]\n",
             entry);
    CHECK_OK(px_file_write(path_of("model.yaml"), px_str(yaml), NULL));
    err = (struct px_err){0};
    return px_package_open(folder, &options, &package, &err) == PX_OK ? package : NULL;
}

static void check_refused(const char *entry, enum px_code code, const char *message)
{
    CHECK(open_with(entry) == NULL);
    CHECK_INT(err.code, code);
    CHECK_CONTAINS(err.message, message);
}

PX_TEST(a_folder_is_made)
{
    CHECK(mkdtemp(folder));
    CHECK_OK(px_file_write(path_of("h.bin"), px_str_n("\0\0\0\0\0\0\0\0", 8), NULL));
    CHECK_OK(px_file_write(path_of("long.bin"), px_str("more than eight"), NULL));
    CHECK(symlink("/etc/passwd", path_of("link.bin")) == 0);
}

PX_TEST(a_package_keeps_sequences)
{
    struct px_package *p = open_with(", initial: h.bin");
    CHECK(p && px_engine_has(p->engine, PX_ENGINE_SEQUENCES));
    CHECK(px_sequence_engine_settings(p->engine) != NULL);
    px_package_close(p);
}

PX_TEST(an_initial_file_that_is_missing_is_named)
{
    check_refused(", initial: none.bin", PX_E_NOT_FOUND, "none.bin'");
    CHECK_CONTAINS(err.message, "initial: there is no file");
    check_refused(", initial: .", PX_E_INVALID, "initial: ");
}

PX_TEST(an_initial_file_outside_the_package_is_refused)
{
    check_refused(", initial: /etc/passwd", PX_E_INVALID,
                  "initial: '/etc/passwd' must be a path inside the folder");
    check_refused(", initial: ../h.bin", PX_E_INVALID,
                  "initial: '../h.bin' must be a path inside the folder");
    check_refused(", initial: link.bin", PX_E_INVALID,
                  "initial: 'link.bin' links to a file outside the folder");
}

PX_TEST(an_initial_file_of_another_size_is_refused)
{
    check_refused(", initial: long.bin", PX_E_CONFLICT,
                  "expected the 8 bytes of state 'y', got 15");
    CHECK_CONTAINS(err.hint, "FP32 [1,2]");
}

PX_TEST(a_state_of_another_type_is_refused)
{
    check_refused(", type: INT32", PX_E_CONFLICT, "state 'y' is INT32 of shape [1,2]");
    check_refused(", type: INT3", PX_E_INVALID, "the type of a state must be numbers or BOOL");
}

PX_TEST(the_folder_is_removed)
{
    static const char *const names[] = {"model.yaml", "h.bin", "long.bin", "link.bin"};
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++)
        unlink(path_of(names[i]));
    CHECK(rmdir(folder) == 0);
}

PX_TEST_MAIN(T(a_folder_is_made) T(a_package_keeps_sequences)
                 T(an_initial_file_that_is_missing_is_named)
                     T(an_initial_file_outside_the_package_is_refused)
                         T(an_initial_file_of_another_size_is_refused)
                             T(a_state_of_another_type_is_refused) T(the_folder_is_removed))
