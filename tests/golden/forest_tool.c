/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores raw rows with a model file, for the parity tests: no CSV, no configuration, no text on the way.
 *
 *     forest_tool MODEL ROWS OUT [--kernel NAME] [--margin] [--best] [--batch N] [--self-test N]
 *     forest_tool MODEL ROWS OUT --explain   contributions: doubles, [n, n_margins, n_features + 1]
 *     forest_tool MODEL --info
 *     forest_tool MODEL --kernels          one line for each: name, tab, state, tab, reason
 *
 * ROWS holds little-endian floats (doubles for LightGBM), [n, n_features]; OUT receives the scores in the
 * model's score type. `--batch N` scores N rows per call. The exit status is 0, or 1 with a message.
 */
#include "domain/forest/forest.h"
#include "shared/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    const char *model, *rows, *out, *kernel;
    bool margin, best, info, kernels, explain;
    size_t batch, self_test;
};

static void fail(const char *what, const struct px_err *err)
{
    char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 8];
    fprintf(stderr, "%s: %s\n", what, err ? px_err_text(err, text, sizeof text) : "failed");
    exit(1);
}

static char *read_whole(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail(path, NULL);
    long size = ftell(file);
    rewind(file);
    char *bytes = px_xalloc((size_t)size + 1, 1);
    if (fread(bytes, 1, (size_t)size, file) != (size_t)size)
        fail(path, NULL);
    fclose(file);
    *ret_len = (size_t)size;
    return bytes;
}

static size_t number_after(char **argv, int i)
{
    return argv[i + 1] ? (size_t)strtoull(argv[i + 1], NULL, 10) : 0;
}

static struct arguments parse(char **argv)
{
    struct arguments a = {.batch = 1000};
    const char **places[] = {&a.model, &a.rows, &a.out};
    size_t place = 0;
    for (int i = 1; argv[i]; i++) {
        if (strcmp(argv[i], "--kernel") == 0 && argv[i + 1])
            a.kernel = argv[++i];
        else if (strcmp(argv[i], "--margin") == 0)
            a.margin = true;
        else if (strcmp(argv[i], "--best") == 0)
            a.best = true;
        else if (strcmp(argv[i], "--explain") == 0)
            a.explain = true;
        else if (strcmp(argv[i], "--info") == 0)
            a.info = true;
        else if (strcmp(argv[i], "--kernels") == 0)
            a.kernels = true;
        else if (strcmp(argv[i], "--batch") == 0)
            a.batch = number_after(argv, i++);
        else if (strcmp(argv[i], "--self-test") == 0)
            a.self_test = number_after(argv, i++);
        else if (place < PX_ARRAY_LEN(places))
            *places[place++] = argv[i];
    }
    if (!a.model || (!a.out && !a.info && !a.kernels) || a.batch == 0)
        fail("usage: forest_tool MODEL ROWS OUT [options] | MODEL --info | MODEL --kernels", NULL);
    return a;
}

static void print_info(const struct px_forest *forest)
{
    const struct px_forest_info *info = px_forest_info(forest);
    printf("format=%s\nversion=%.*s\nobjective=%.*s\n", px_forest_format_name(info->format),
           PX_STR_ARG(info->library_version), PX_STR_ARG(info->objective));
    printf("features=%zu\noutputs=%zu\nmargins=%zu\nclasses=%zu\nprobability=%d\n",
           info->n_features, info->n_outputs, info->n_margins, info->n_classes,
           info->score_is_probability);
    printf("trees=%zu\nnodes=%zu\nleaves=%zu\ndepth=%zu\nrounds=%zu\nbest=%zu\n", info->n_trees,
           info->n_nodes, info->n_leaves, info->depth_max, info->n_rounds, info->best_round);
    printf("one=%s\nmany=%s\n", info->kernel_one, info->kernel_many);
    printf("type=%s\n", px_datatype_name(info->feature_type));
    printf("threshold=%.17g\n", info->decision_threshold);
    for (size_t i = 0; i < info->n_warnings; i++)
        printf("warning=%.*s\n", PX_STR_ARG(info->warnings[i]));
    for (size_t i = 0; info->class_labels && i < info->n_classes && i < 100; i++)
        printf("label=%.*s\n", PX_STR_ARG(info->class_labels[i]));
    for (size_t i = 0; i < info->n_features && i < 100; i++) {
        size_t n;
        const struct px_str *names = px_forest_categories(forest, i, &n);
        if (info->feature_names)
            printf("feature=%.*s\n", PX_STR_ARG(info->feature_names[i]));
        for (size_t j = 0; j < n && j < 100; j++)
            printf("category=%zu:%.*s\n", i, PX_STR_ARG(names[j]));
    }
}

static void print_kernels(const struct px_forest *forest)
{
    const struct px_forest_info *info = px_forest_info(forest);
    for (size_t i = 0; i < info->n_kernels; i++)
        printf("%s\t%s\t%s\n", info->kernels[i].name, px_kernel_state_name(info->kernels[i].state),
               info->kernels[i].reason);
}

static void score(const struct px_forest *forest, const struct arguments *a)
{
    const struct px_forest_info *info = px_forest_info(forest);
    size_t len, size = px_datatype_size(info->feature_type);
    char *bytes = read_whole(a->rows, &len);
    size_t n = len / size / info->n_features;
    size_t width =
        (a->margin ? info->n_margins : info->n_outputs) * px_datatype_size(info->score_type);
    char *out = px_xalloc(n, width);
    void *scratch =
        px_alloc_aligned(PX_CACHE_LINE, px_forest_scratch_size(forest, a->batch) + 1, 1);
    for (size_t done = 0; done < n; done += a->batch) {
        struct px_matrix rows = {.type = info->feature_type,
                                 .data = bytes + done * info->n_features * size,
                                 .n_rows = n - done < a->batch ? n - done : a->batch,
                                 .n_cols = info->n_features,
                                 .stride = info->n_features};
        px_forest_predict(forest, &rows, out + done * width, scratch,
                          a->margin ? PX_FOREST_MARGIN : 0);
    }
    FILE *file = fopen(a->out, "wb");
    if (!file || fwrite(out, width, n, file) != n || fclose(file) != 0)
        fail(a->out, NULL);
    px_free(scratch);
    px_free(out);
    px_free(bytes);
}

static void explain(const struct px_forest *forest, const struct arguments *a)
{
    const struct px_forest_info *info = px_forest_info(forest);
    struct px_err err;
    size_t len, size = px_datatype_size(info->feature_type);
    const char *refusal = px_forest_explain_refusal(forest);
    if (refusal) {
        (void)px_err_set(&err, PX_E_UNSUPPORTED, "%s", refusal);
        fail("cannot be explained", &err);
    }
    char *bytes = read_whole(a->rows, &len);
    struct px_matrix rows = {.type = info->feature_type,
                             .data = bytes,
                             .n_rows = len / size / info->n_features,
                             .n_cols = info->n_features,
                             .stride = info->n_features};
    size_t n = rows.n_rows * info->n_margins * (info->n_features + 1);
    double *out = px_xalloc(n, sizeof *out);
    void *scratch = px_xalloc(px_forest_explain_scratch_size(forest), 1);
    px_forest_explain(forest, &rows, out, scratch);
    FILE *file = fopen(a->out, "wb");
    if (!file || fwrite(out, sizeof *out, n, file) != n || fclose(file) != 0)
        fail(a->out, NULL);
    px_free(scratch);
    px_free(out);
    px_free(bytes);
}

int main(int argc, char **argv)
{
    (void)argc;
    struct arguments a = parse(argv);
    struct px_forest_options options = {.rounds = a.best ? PX_ROUNDS_BEST : PX_ROUNDS_ALL,
                                        .kernel = a.kernel};
    struct px_forest *forest = NULL;
    struct px_err err = {0};
    size_t len;
    char *bytes = read_whole(a.model, &len);
    if (px_forest_create(px_str_n(bytes, len), &options, &forest, &err) != PX_OK)
        fail(a.model, &err);
    px_free(bytes);
    if (a.self_test && px_forest_self_test(forest, a.self_test, 1, &err) != PX_OK)
        fail(a.model, &err);
    if (a.info)
        print_info(forest);
    else if (a.kernels)
        print_kernels(forest);
    else if (a.explain)
        explain(forest, &a);
    else
        score(forest, &a);
    px_forest_destroy(forest);
    return 0;
}
