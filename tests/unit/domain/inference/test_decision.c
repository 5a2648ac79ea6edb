/* SPDX-License-Identifier: Apache-2.0 */
/* Classes from scores. */
#include "domain/inference/decision.h"
#include "harness.h"

#include <math.h>

static size_t decide_one(size_t n_classes, double threshold, double score)
{
    const struct px_decision decision = {n_classes, threshold};
    const struct px_matrix scores = {PX_TYPE_FP64, &score, 1, 1, 1};
    return px_decide_class(&decision, &scores, 0);
}

PX_TEST(a_single_score_is_cut_at_the_threshold)
{
    CHECK_INT(decide_one(2, 0.5, 0.269), 0);
    CHECK_INT(decide_one(2, 0.5, 0.5), 0);
    CHECK_INT(decide_one(2, 0.5, 0.731), 1);
    CHECK_INT(decide_one(2, 0, 0.269), 1); /* a margin */
    CHECK_INT(decide_one(2, 0, -0.1), 0);
    CHECK_INT(decide_one(0, 0.5, 0.269), 0); /* a regression that is used as a classifier */
    CHECK_INT(decide_one(0, 0.5, 0.731), 1);
    CHECK_INT(decide_one(2, 0.5, (double)NAN), 0);
}

PX_TEST(a_single_score_of_many_classes_is_the_class)
{
    CHECK_INT(decide_one(3, 0.5, 0), 0);
    CHECK_INT(decide_one(3, 0.5, 2), 2);
    CHECK_INT(decide_one(3, 0.5, 3), 0);
    CHECK_INT(decide_one(3, 0.5, -1), 0);
    CHECK_INT(decide_one(3, 0.5, (double)NAN), 0);
}

PX_TEST(of_several_scores_the_first_greatest_wins)
{
    static float values[6][3] = {{0.1F, 0.2F, 0.7F}, {0.4F, 0.4F, 0.2F}, {-3, -1, -2},
                                 {NAN, 0.5F, 0.2F},  {0.5F, NAN, 0.7F},  {-INFINITY, NAN, NAN}};
    static const size_t want[6] = {2, 0, 1, 1, 2, 0};
    const struct px_decision decision = {3, 0.5};
    const struct px_matrix scores = {PX_TYPE_FP32, values, 6, 3, 3};
    for (size_t row = 0; row < 6; row++)
        CHECK_INT(px_decide_class(&decision, &scores, row), want[row]);
}

PX_TEST_MAIN(T(a_single_score_is_cut_at_the_threshold)
                 T(a_single_score_of_many_classes_is_the_class)
                     T(of_several_scores_the_first_greatest_wins))
