/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "application/batch/rows.h"
#include "application/batch/scores.h"

static const struct px_str colours[] = {PX_STR("red"), PX_STR("green")};

static struct px_feature features[3];
static struct px_signature signature;
static struct px_rows rows;
static float values[3];
static struct px_matrix matrix = {PX_TYPE_FP32, values, 1, 3, 3};
static struct px_err err;

/* size, colour (red, green), count */
static void start(bool named, struct px_rows_options options)
{
    px_signature_deinit(&signature);
    features[0] =
        (struct px_feature){.name = PX_STR("size"), .kind = PX_FEATURE_NUMBER, .other = -1};
    features[1] = (struct px_feature){.name = PX_STR("colour"),
                                      .kind = PX_FEATURE_CATEGORY,
                                      .categories = colours,
                                      .n_categories = 2,
                                      .other = -1};
    features[2] =
        (struct px_feature){.name = PX_STR("count"), .kind = PX_FEATURE_NUMBER, .other = -1};
    signature = (struct px_signature){
        .features = features, .n_features = 3, .named = named, .task = PX_TASK_REGRESSION};
    CHECK_OK(px_signature_finish(&signature, NULL));
    err = (struct px_err){0};
    px_rows_init(&rows, &signature, &options);
}

static void feed(const char *text)
{
    CHECK_OK(px_rows_feed(&rows, text, strlen(text), &err));
    if (*text)
        CHECK_OK(px_rows_feed(&rows, NULL, 0, &err));
}

static enum px_rows_event next(void)
{
    return px_rows_next(&rows, &matrix, 0, &err);
}

static void check_row(double a, double b, double c)
{
    CHECK_INT(next(), PX_ROWS_ROW);
    CHECK_DOUBLE(values[0], a);
    CHECK_DOUBLE(values[1], b);
    CHECK_DOUBLE(values[2], c);
}

PX_TEST(columns_are_matched_by_name_and_others_ignored)
{
    start(true, (struct px_rows_options){0});
    feed("id,count, colour ,size\n7,3,green,1.5\n8,,red,\n9,1,blue,2\n");
    check_row(1.5, 1, 3);
    CHECK_INT(rows.record.line, 2);
    check_row(NAN, 0, NAN);
    check_row(2, NAN, 1);
    CHECK_INT(next(), PX_ROWS_END);
    px_rows_deinit(&rows);
}

PX_TEST(bytes_may_come_one_at_a_time)
{
    const char *text = "size;colour;count\r\n1;\"red\";2\r\n3;green;4";
    start(true, (struct px_rows_options){0});
    size_t n_rows = 0;
    for (size_t i = 0; i <= strlen(text); i++) {
        enum px_rows_event event;
        while ((event = next()) == PX_ROWS_ROW)
            n_rows++;
        CHECK_INT(event, PX_ROWS_MORE);
        CHECK_OK(px_rows_feed(&rows, text + i, i < strlen(text), &err));
    }
    check_row(3, 1, 4);
    CHECK_INT(next(), PX_ROWS_END);
    CHECK_INT(n_rows, 1);
    px_rows_deinit(&rows);
}

PX_TEST(a_bad_row_says_why_and_the_next_is_read)
{
    start(true, (struct px_rows_options){0});
    feed("size,colour,count\nbig,red,1\n1,red\n1,red,2\n");
    CHECK_INT(next(), PX_ROWS_BAD);
    CHECK_INT(rows.record.line, 2);
    CHECK_CONTAINS(err.message, "feature 'size': expected a number, got 'big'");
    CHECK_INT(next(), PX_ROWS_BAD);
    CHECK_CONTAINS(err.message, "expected 3 fields, got 2");
    check_row(1, 0, 2);
    px_rows_deinit(&rows);
}

PX_TEST(an_absent_column_fails)
{
    start(true, (struct px_rows_options){0});
    feed("size,color,count\n1,red,2\n");
    CHECK_INT(next(), PX_ROWS_FAILED);
    CHECK_CONTAINS(err.message, "'colour'");
    CHECK_CONTAINS(err.message, "'color'");
    px_rows_deinit(&rows);
}

PX_TEST(by_position_the_target_is_left_out)
{
    start(true, (struct px_rows_options){.by_position = true, .target = PX_STR("y")});
    feed("a,y,b,c\n1,0,red,2\n");
    check_row(1, 0, 2);
    px_rows_deinit(&rows);
    start(false, (struct px_rows_options){.with_scores = true});
    feed("a,b,c,score\n1,red,2,0.5\n");
    check_row(1, 0, 2);
    px_rows_deinit(&rows);
}

PX_TEST(without_a_header_every_line_is_a_row)
{
    start(true, (struct px_rows_options){.no_header = true});
    feed("1,red,2\n3,green,4\n");
    check_row(1, 0, 2);
    check_row(3, 1, 4);
    CHECK_INT(next(), PX_ROWS_END);
    px_rows_deinit(&rows);
    start(true, (struct px_rows_options){.no_header = true});
    feed("1,red\n");
    CHECK_INT(next(), PX_ROWS_FAILED);
    CHECK_CONTAINS(err.message, "takes 3, the file has 2");
    px_rows_deinit(&rows);
}

PX_TEST(a_row_is_not_taken_for_a_header)
{
    start(false, (struct px_rows_options){0});
    feed("1.5,1,2\n3,1,4\n");
    CHECK_INT(next(), PX_ROWS_FAILED);
    CHECK_CONTAINS(err.message, "looks like data");
    px_rows_deinit(&rows);
    start(false, (struct px_rows_options){0});
    feed("0,1,2\n3,red,4\n");
    check_row(3, 0, 4);
    px_rows_deinit(&rows);
}

PX_TEST(an_empty_text_has_no_header)
{
    start(true, (struct px_rows_options){0});
    CHECK_OK(px_rows_feed(&rows, NULL, 0, &err));
    CHECK_INT(next(), PX_ROWS_FAILED);
    CHECK_CONTAINS(err.message, "empty");
    px_rows_deinit(&rows);
}

PX_TEST(scores_have_names_and_shortest_texts)
{
    struct px_buf text = px_buf(1000);
    float narrow[2] = {0.1f, 1.0f};
    double wide = 0.1;
    struct px_signature s = {.labels = colours, .n_labels = 2};
    px_score_name(&s, 1, 0, &text);
    px_buf_byte(&text, ' ');
    px_score_name(&s, 2, 1, &text);
    px_buf_byte(&text, ' ');
    px_score_name(&s, 3, 2, &text);
    CHECK_STR(px_buf_view(&text), "score score_green score_2");
    px_buf_clear(&text);
    px_score_print(PX_TYPE_FP32, narrow, 0, &text);
    px_buf_byte(&text, ' ');
    px_score_print(PX_TYPE_FP32, narrow, 1, &text);
    px_buf_byte(&text, ' ');
    px_score_print(PX_TYPE_FP64, &wide, 0, &text);
    CHECK_STR(px_buf_view(&text), "0.1 1.0 0.1");
    px_buf_deinit(&text);
}

PX_TEST_MAIN(T(columns_are_matched_by_name_and_others_ignored) T(bytes_may_come_one_at_a_time)
                 T(a_bad_row_says_why_and_the_next_is_read) T(an_absent_column_fails)
                     T(by_position_the_target_is_left_out) T(without_a_header_every_line_is_a_row)
                         T(a_row_is_not_taken_for_a_header) T(an_empty_text_has_no_header)
                             T(scores_have_names_and_shortest_texts))
