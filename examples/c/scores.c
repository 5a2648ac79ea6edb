/* SPDX-License-Identifier: Apache-2.0 */
/* Scores four payments: scores MODEL */
#include <math.h>
#include <phoenix/phoenix.h>
#include <stdio.h>

enum { ROWS = 4, FEATURES = 3 };

int main(int argc, char **argv)
{
    /* amount, hour, account_days; NAN is missing */
    static const float rows[ROWS][FEATURES] = {
        {25.0F, 14, 800},
        {250.0F, 3, 12},
        {NAN, 23, 400},
        {90.5F, 9, NAN},
    };
    float scores[ROWS];
    char err[256];

    phx_model *model = argc == 2 ? phx_model_open(argv[1], err, sizeof err) : NULL;
    if (!model) {
        fprintf(stderr, "scores: %s\n", argc == 2 ? err : "expected the path of a model");
        return 1;
    }
    if (phx_model_features(model) != FEATURES || phx_model_outputs(model) != 1) {
        fprintf(stderr, "scores: expected a model of %d features and one score\n", FEATURES);
        phx_model_close(model);
        return 1;
    }
    int code = phx_model_predict_f32(model, rows[0], ROWS, FEATURES, scores, 0);
    if (code == 0) {
        for (int i = 0; i < ROWS; i++)
            printf("%.9f\n", (double)scores[i]);
    } else {
        fprintf(stderr, "scores: %s\n", phx_error_text(code));
    }
    phx_model_close(model);
    return code != 0;
}
