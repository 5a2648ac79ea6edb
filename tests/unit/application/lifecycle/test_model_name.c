/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_name.h"

#include "harness.h"

PX_TEST(names_are_those_that_fit_into_a_path)
{
    CHECK(px_model_name_is_valid(px_str("bank-2.1_x")));
    CHECK(!px_model_name_is_valid(px_str("")));
    CHECK(!px_model_name_is_valid(px_str(".hidden")));
    CHECK(!px_model_name_is_valid(px_str("-x")));
    CHECK(!px_model_name_is_valid(px_str("a/b")));
    CHECK(!px_model_name_is_valid(px_str("a b")));
    CHECK(!px_model_name_is_valid(px_str("stats"))); /* /v2/models/stats is of every model */
    CHECK(px_model_name_is_valid(px_str("stats2")));
    CHECK_STR(px_str(px_model_name_from_text(px_str("stats")).text), "stats_");
    CHECK(!px_model_name_is_valid(px_str("\xc3\xa4")));
}

static const char *from_text(const char *text)
{
    static struct px_model_name name;
    name = px_model_name_from_text(px_str(text));
    CHECK(px_model_name_is_valid(px_str(name.text)));
    return name.text;
}

PX_TEST(any_text_becomes_a_valid_name)
{
    CHECK_STR(px_str(from_text("bank-2.1_x")), "bank-2.1_x");
    CHECK_STR(px_str(from_text("my model")), "my_model");
    CHECK_STR(px_str(from_text("\xc3\xbc"
                               "bung")),
              "_bung");
    CHECK_STR(px_str(from_text("-x")), "_x");
    CHECK_STR(px_str(from_text("..x")), "_.x");
    CHECK_STR(px_str(from_text("")), "model");
}

PX_TEST(every_byte_at_the_first_and_a_later_place_becomes_a_valid_name)
{
    for (int byte = 1; byte < 256; byte++) {
        const char first[] = {(char)byte, 'a', '\0'}, later[] = {'a', (char)byte, '\0'};
        from_text(first);
        from_text(later);
    }
}

PX_TEST(a_long_text_is_cut)
{
    char text[1000];
    memset(text, 'x', sizeof text);
    struct px_model_name name = px_model_name_from_text(px_str_n(text, sizeof text));
    CHECK_INT(strlen(name.text), PX_MODEL_NAME_MAX);
}

static const char *from_path(const char *path, bool is_file)
{
    static struct px_model_name name;
    name = px_model_name_from_path(path, is_file);
    CHECK(px_model_name_is_valid(px_str(name.text)));
    return name.text;
}

PX_TEST(a_path_gives_its_last_part)
{
    CHECK_STR(px_str(from_path("data/bank-full.csv", true)), "bank-full");
    CHECK_STR(px_str(from_path("my model.json", true)), "my_model");
    CHECK_STR(px_str(from_path("m.v2.ubj", true)), "m.v2");
    CHECK_STR(px_str(from_path(".csv", true)), "_csv");
    CHECK_STR(px_str(from_path("models/bank.v2/", false)), "bank.v2");
    CHECK_STR(px_str(from_path("/", false)), "model");
    CHECK_STR(px_str(from_path("/tmp/.", false)), "tmp");
}

PX_TEST_MAIN(T(names_are_those_that_fit_into_a_path) T(any_text_becomes_a_valid_name)
                 T(every_byte_at_the_first_and_a_later_place_becomes_a_valid_name)
                     T(a_long_text_is_cut) T(a_path_gives_its_last_part))
