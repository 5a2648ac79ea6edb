/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test harness: one program per subject, one function per behaviour.
 *
 *     PX_TEST(parses_an_empty_object) { ... CHECK(...); CHECK_STR(a, "b"); }
 *     PX_TEST_MAIN(T(parses_an_empty_object) ...)
 *
 * A failed check prints the place and both values, ends that test, and makes the program exit 1.
 * `program NAME` runs one test.
 */
#ifndef PX_TESTS_HARNESS_H
#define PX_TESTS_HARNESS_H

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct px_test {
    const char *name;
    void (*run)(void);
};

static jmp_buf px_test_escape;

/*
 * The sanitizers' allocators abort on sizes that cannot be had, unless told to return NULL as the
 * system's does; tests ask for such sizes. Options in the environment come on top of these.
 */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

#define PX_TEST(name) static void test_##name(void)

__attribute__((noreturn)) static inline void px_test_fail(const char *file, int line)
{
    fprintf(stderr, "%s:%d: check failed\n", file, line);
    longjmp(px_test_escape, 1);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "not true: %s\n", #condition);                                         \
            px_test_fail(__FILE__, __LINE__);                                                      \
        }                                                                                          \
    } while (0)

#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                                    \
        if (got_ != want_) {                                                                       \
            fprintf(stderr, "%s: got %" PRId64 ", want %" PRId64 "\n", #got, got_, want_);         \
            px_test_fail(__FILE__, __LINE__);                                                      \
        }                                                                                          \
    } while (0)

/* Equal to the bit, except that any NaN equals any NaN. */
#define CHECK_DOUBLE(got, want)                                                                    \
    do {                                                                                           \
        double got_ = (double)(got), want_ = (double)(want);                                       \
        if (memcmp(&got_, &want_, sizeof got_) != 0 && !(isnan(got_) && isnan(want_))) {           \
            fprintf(stderr, "%s: got %.17g, want %.17g\n", #got, got_, want_);                     \
            px_test_fail(__FILE__, __LINE__);                                                      \
        }                                                                                          \
    } while (0)

#define CHECK_NEAR(got, want, tolerance)                                                           \
    do {                                                                                           \
        double got_ = (double)(got), want_ = (double)(want);                                       \
        if (!(fabs(got_ - want_) <= (tolerance))) {                                                \
            fprintf(stderr, "%s: got %.17g, want %.17g\n", #got, got_, want_);                     \
            px_test_fail(__FILE__, __LINE__);                                                      \
        }                                                                                          \
    } while (0)

/* `got` is a struct px_str, `want` a C string. */
#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        struct px_str got_ = (got);                                                                \
        const char *want_ = (want);                                                                \
        if (got_.len != strlen(want_) || (got_.len && memcmp(got_.ptr, want_, got_.len) != 0)) {   \
            fprintf(stderr, "%s: got \"%.*s\", want \"%s\"\n", #got, (int)got_.len, got_.ptr,      \
                    want_);                                                                        \
            px_test_fail(__FILE__, __LINE__);                                                      \
        }                                                                                          \
    } while (0)

/* `text` contains `part`; both C strings. */
#define CHECK_CONTAINS(text, part)                                                                 \
    do {                                                                                           \
        const char *text_ = (text), *part_ = (part);                                               \
        if (!strstr(text_, part_)) {                                                               \
            fprintf(stderr, "\"%s\" does not contain \"%s\"\n", text_, part_);                     \
            px_test_fail(__FILE__, __LINE__);                                                      \
        }                                                                                          \
    } while (0)

#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        enum px_code code_ = (call);                                                               \
        if (code_ != PX_OK) {                                                                      \
            fprintf(stderr, "%s: code %d\n", #call, (int)code_);                                   \
            px_test_fail(__FILE__, __LINE__);                                                      \
        }                                                                                          \
    } while (0)

/* A function of its own: longjmp would clobber locals of a loop around setjmp. */
__attribute__((noinline)) static bool px_test_passes(const struct px_test *test)
{
    if (setjmp(px_test_escape) != 0)
        return false;
    test->run();
    return true;
}

static inline int px_test_run_all(const struct px_test *tests, size_t n, const char *only)
{
    int failed = 0;
    for (size_t i = 0; i < n; i++) {
        if (only && strcmp(only, tests[i].name) != 0)
            continue;
        bool passed = px_test_passes(&tests[i]);
        printf("%s %s\n", passed ? "ok  " : "FAIL", tests[i].name);
        failed += !passed;
    }
    return failed ? 1 : 0;
}

/* Usage: PX_TEST_MAIN(T(first) T(second)) with T expanding to one row each. */
#define PX_TEST_MAIN(rows)                                                                         \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        static const struct px_test tests[] = {rows};                                              \
        return px_test_run_all(tests, sizeof tests / sizeof tests[0], argc > 1 ? argv[1] : NULL);  \
    }
#define T(name) {#name, test_##name},

#endif
