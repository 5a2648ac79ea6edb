/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "interfaces/cli/visible.h"

#include <stdlib.h>

static void check_shown(struct px_str text, const char *expected)
{
    char *shown = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&shown, &len);
    CHECK(out);
    px_print_visible(out, text);
    fclose(out);
    CHECK_STR(px_str_n(shown, len), expected);
    free(shown);
}

PX_TEST(a_terminal_is_told_nothing)
{
    check_shown(px_str("a \x1b]0;owned\x07 b"), "a \\x1B]0;owned\\x07 b");
    check_shown(px_str("\r\n\t\x7f"), "\\r\\n\\t\\x7F");
    check_shown(px_str("\xc2\x9b"
                       "2J"),
                "\\xC2\\x9B2J"); /* CSI as one character */
}

PX_TEST(broken_characters_are_bytes)
{
    check_shown(px_str("\x9b"
                       "2J \xc3"),
                "\\x9B2J \\xC3");
}

PX_TEST(other_languages_stay)
{
    check_shown(px_str("Gr\xc3\xb6\xc3\x9f"
                       "e \xe4\xb8\xad \xc2\xa0 \xf0\x9f\x94\xa5"),
                "Gr\xc3\xb6\xc3\x9f"
                "e \xe4\xb8\xad \xc2\xa0 \xf0\x9f\x94\xa5");
    check_shown(px_str(""), "");
}

PX_TEST_MAIN(T(a_terminal_is_told_nothing) T(broken_characters_are_bytes) T(other_languages_stay))
