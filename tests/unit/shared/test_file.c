/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "shared/alloc.h"
#include "shared/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static size_t files_in_folder(void)
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    CHECK(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_type == DT_REG;
    closedir(dir);
    return n;
}

PX_TEST(writes_reads_and_loads)
{
    struct px_err err;
    CHECK_OK(px_file_write(path_of("a"), px_str("hello"), &err));
    CHECK_OK(px_file_write(path_of("a"), px_str("hello again"), &err));
    CHECK_INT(files_in_folder(), 1); /* no temporary is left */

    struct px_buf buf = px_buf(100);
    CHECK_OK(px_file_read(path_of("a"), &buf, &err));
    CHECK_STR(px_buf_view(&buf), "hello again");
    CHECK_STR(px_str(px_buf_cstr(&buf)), "hello again");
    px_buf_deinit(&buf);

    struct px_file file;
    CHECK_OK(px_file_load(&file, path_of("a"), 11, &err));
    CHECK_STR(file.bytes, "hello again");
    CHECK_INT(px_file_size(path_of("a")), 11);
    CHECK_INT(px_file_size(folder), 0);
    CHECK_INT(px_file_size(path_of("absent")), 0);
    px_file_unload(&file);
    px_file_unload(&file);
    CHECK_INT(file.bytes.len, 0);
    unlink(path_of("a"));
}

PX_TEST(what_was_read_stays_when_the_file_shrinks)
{
    static char bytes[1 << 16];
    struct px_file file = {0};
    memset(bytes, 'x', sizeof bytes);
    CHECK_OK(px_file_write(path_of("shrinks"), px_str_n(bytes, sizeof bytes), NULL));
    CHECK_OK(px_file_load(&file, path_of("shrinks"), sizeof bytes, NULL));
    CHECK_INT(truncate(path_of("shrinks"), 0), 0);
    CHECK_INT(memcmp(file.bytes.ptr, bytes, sizeof bytes), 0); /* a mapping would be a SIGBUS */
    px_file_unload(&file);
    unlink(path_of("shrinks"));
}

enum { CHANGING_BYTES = 8 << 20 };

static _Atomic bool stop_changing;

/* Cuts a file short and makes it long again until told to stop. */
static void *change_file(void *path)
{
    while (!atomic_load(&stop_changing)) {
        CHECK_INT(truncate(path, 100), 0);
        CHECK_INT(truncate(path, CHANGING_BYTES), 0);
    }
    return NULL;
}

PX_TEST(a_file_that_changes_while_it_is_read_is_an_error)
{
    static char path[PATH_MAX];
    pthread_t changer;
    struct px_err err = {0};
    enum px_code code = PX_OK;
    snprintf(path, sizeof path, "%s", path_of("changes"));
    CHECK_OK(px_file_write(path, px_str("x"), NULL));
    CHECK_INT(pthread_create(&changer, NULL, change_file, path), 0);
    for (int attempt = 0; attempt < 10000 && code == PX_OK; attempt++) {
        struct px_file file = {0};
        code = px_file_load(&file, path, CHANGING_BYTES, &err);
        px_file_unload(&file);
    }
    atomic_store(&stop_changing, true);
    CHECK_INT(pthread_join(changer, NULL), 0);
    CHECK_INT(code, PX_E_IO);
    CHECK_CONTAINS(err.message, "changed while it was read");
    unlink(path);
}

PX_TEST(memory_for_a_file_may_be_short)
{
    struct px_file file = {0};
    struct px_err err = {0};
    CHECK_OK(px_file_write(path_of("five"), px_str("12345"), NULL));
    px_alloc_fail_at(1);
    CHECK_INT(px_file_load(&file, path_of("five"), 5, &err), PX_E_NO_MEMORY);
    px_alloc_fail_at(0);
    CHECK_CONTAINS(err.message, "no memory for the 5 bytes");
    px_file_unload(&file);
    unlink(path_of("five"));
}

PX_TEST(empty_files_are_fine)
{
    CHECK_OK(px_file_write(path_of("empty"), px_str(""), NULL));
    struct px_file file;
    CHECK_OK(px_file_load(&file, path_of("empty"), 0, NULL));
    CHECK_INT(file.bytes.len, 0);
    CHECK(file.bytes.ptr != NULL);
    px_file_unload(&file);
    struct px_buf buf = px_buf(0);
    CHECK_OK(px_file_read(path_of("empty"), &buf, NULL));
    CHECK_INT(buf.len, 0);
    px_buf_deinit(&buf);
    unlink(path_of("empty"));
}

PX_TEST(limits_are_named)
{
    struct px_err err;
    struct px_file file = {0};
    struct px_buf buf = px_buf(4), exact = px_buf(5);
    CHECK_OK(px_file_write(path_of("five"), px_str("12345"), &err));
    CHECK_INT(px_file_load(&file, path_of("five"), 4, &err), PX_E_TOO_LARGE);
    CHECK_CONTAINS(err.message, "has 5 bytes; the limit is 4");
    CHECK_INT(px_file_read(path_of("five"), &buf, &err), PX_E_TOO_LARGE);
    CHECK_CONTAINS(err.message, "longer than 4 bytes");
    CHECK_OK(px_file_read(path_of("five"), &exact, &err));
    CHECK_STR(px_buf_view(&exact), "12345");
    px_buf_deinit(&buf);
    px_buf_deinit(&exact);
    unlink(path_of("five"));
}

PX_TEST(errors_name_the_path_and_the_reason)
{
    struct px_err err;
    struct px_file file = {0};
    struct px_buf buf = px_buf(10);
    CHECK_INT(px_file_load(&file, path_of("absent"), 10, &err), PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.message, "/absent': No such file");
    CHECK_INT(px_file_read(path_of("absent"), &buf, &err), PX_E_NOT_FOUND);
    CHECK_INT(px_file_load(&file, folder, 10, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "the folder");
    CHECK_INT(px_file_load(&file, "/dev/null", 10, &err), PX_E_INVALID);
    CHECK_INT(px_file_read(folder, &buf, &err), PX_E_IO);
    CHECK_INT(px_file_write(path_of("no/such/file"), px_str("x"), &err), PX_E_NOT_FOUND);
    CHECK_INT(px_file_write(folder, px_str("x"), &err), PX_E_IO); /* rename onto a folder */
    CHECK_INT(files_in_folder(), 0);
    CHECK_CONTAINS(err.message, "cannot write");
    px_buf_deinit(&buf);
}

PX_TEST(a_link_to_itself_is_not_called_absent)
{
    struct px_err err;
    CHECK_INT(symlink("loop", path_of("loop")), 0);
    CHECK_INT(px_file_kind(path_of("loop")), PX_FILE_ABSENT);
    CHECK_INT(px_file_fail_absent(path_of("loop"), &err), PX_E_IO);
    CHECK_CONTAINS(err.message, "Too many levels of symbolic links");
    unlink(path_of("loop"));
    CHECK_INT(px_file_fail_absent(path_of("loop"), &err), PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.message, "there is no file or folder");
}

PX_TEST(names_that_are_too_long)
{
    static char path[8192];
    struct px_err err;
    memset(path, 'x', sizeof path - 1);
    CHECK_INT(px_file_write(path, px_str("x"), &err), PX_E_IO);
    CHECK_INT(px_file_mkdirs(path, &err), PX_E_INVALID);
    CHECK_INT(px_file_kind(path), PX_FILE_ABSENT);
    CHECK_INT(px_file_write("/dev/full/x", px_str("x"), &err), PX_E_NOT_FOUND);
}

PX_TEST(writes_into_the_current_folder)
{
    char before[4096];
    CHECK(getcwd(before, sizeof before) && chdir(folder) == 0);
    enum px_code code = px_file_write("here", px_str("x"), NULL);
    CHECK_INT(px_file_kind("here"), PX_FILE_REGULAR);
    unlink("here");
    CHECK(chdir(before) == 0);
    CHECK_OK(code);
}

PX_TEST(reads_pipes)
{
    struct px_buf buf = px_buf(1 << 20);
    int ends[2];
    char path[64];
    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], "through a pipe", 14) == 14);
    close(ends[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    CHECK_OK(px_file_read(path, &buf, NULL));
    close(ends[0]);
    CHECK_STR(px_buf_view(&buf), "through a pipe");
    px_buf_deinit(&buf);
}

PX_TEST(makes_folders)
{
    struct px_err err;
    CHECK_OK(px_file_mkdirs(path_of("x/y//z/"), &err));
    CHECK_INT(px_file_kind(path_of("x/y/z")), PX_FILE_FOLDER);
    CHECK_OK(px_file_mkdirs(path_of("x/y"), &err));
    CHECK_OK(px_file_mkdirs("/", &err));
    CHECK_OK(px_file_mkdirs(".", &err));
    CHECK_INT(px_file_mkdirs("", &err), PX_E_INVALID);
    CHECK_OK(px_file_write(path_of("x/file"), px_str(""), &err));
    CHECK_INT(px_file_kind(path_of("x/file")), PX_FILE_REGULAR);
    CHECK(px_file_mkdirs(path_of("x/file"), &err) != PX_OK);
    CHECK(px_file_mkdirs(path_of("x/file/deeper"), &err) != PX_OK);
    CHECK_INT(px_file_kind(path_of("x/none")), PX_FILE_ABSENT);
    CHECK_INT(px_file_kind("/dev/null"), PX_FILE_OTHER);
    unlink(path_of("x/file"));
    rmdir(path_of("x/y/z"));
    rmdir(path_of("x/y"));
    rmdir(path_of("x"));
}

static void check_resolve(const char *name, enum px_code want, const char *message)
{
    char path[PATH_MAX];
    struct px_err err = {0};
    CHECK_INT(px_file_resolve_inside(px_str(folder), px_str(name), path, &err), want);
    CHECK_CONTAINS(want == PX_OK ? path : err.message, message);
}

PX_TEST(names_do_not_lead_out_of_their_folder)
{
    char beside[128], long_name[PATH_MAX];
    snprintf(beside, sizeof beside, "%s-beside", folder);
    CHECK_OK(px_file_mkdirs(path_of("sub"), NULL));
    CHECK_OK(px_file_mkdirs(beside, NULL));
    CHECK_OK(px_file_write(path_of("sub/a"), px_str("a"), NULL));
    CHECK(symlink("sub/a", path_of("inner")) == 0);
    CHECK(symlink("/etc/passwd", path_of("outer")) == 0);
    CHECK(symlink(beside, path_of("beside")) == 0); /* the folder's name is a prefix of its name */
    check_resolve("sub/a", PX_OK, "/sub/a");
    check_resolve("inner", PX_OK, "/sub/a"); /* what is opened has no link left */
    check_resolve("./sub//a", PX_OK, "/sub/a");
    check_resolve("..", PX_E_INVALID, "inside the folder");
    check_resolve("sub/../sub/a", PX_E_INVALID, "inside the folder");
    check_resolve("/etc/passwd", PX_E_INVALID, "inside the folder");
    check_resolve("", PX_E_INVALID, "inside the folder");
    check_resolve("outer", PX_E_INVALID, "outside the folder");
    check_resolve("beside", PX_E_INVALID, "outside the folder");
    check_resolve("gone", PX_E_NOT_FOUND, "gone");
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    check_resolve(long_name, PX_E_INVALID, "bytes");
    unlink(path_of("sub/a"));
    unlink(path_of("inner"));
    unlink(path_of("outer"));
    unlink(path_of("beside"));
    rmdir(path_of("sub"));
    rmdir(beside);
}

static const struct px_test tests[] = {
    T(writes_reads_and_loads) T(what_was_read_stays_when_the_file_shrinks)
        T(a_file_that_changes_while_it_is_read_is_an_error) T(memory_for_a_file_may_be_short)
            T(empty_files_are_fine) T(limits_are_named) T(errors_name_the_path_and_the_reason)
                T(a_link_to_itself_is_not_called_absent) T(names_that_are_too_long)
                    T(writes_into_the_current_folder) T(reads_pipes) T(makes_folders)
                        T(names_do_not_lead_out_of_their_folder)};

int main(int argc, char **argv)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/px-file-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    int rc = px_test_run_all(tests, sizeof tests / sizeof tests[0], argc > 1 ? argv[1] : NULL);
    rmdir(folder);
    return rc;
}
