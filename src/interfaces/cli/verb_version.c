/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/machine.h"
#include "interfaces/cli/verbs.h"

enum { TEXT_MAX = 4096 };

struct cpu_feature {
    const char *name;
    bool present;
};

/* What kernels may use on this machine; the names are those of gcc's -m options. */
static size_t list_cpu_features(struct cpu_feature *out)
{
    size_t n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    out[n++] = (struct cpu_feature){"sse4.2", __builtin_cpu_supports("sse4.2") != 0};
    out[n++] = (struct cpu_feature){"avx", __builtin_cpu_supports("avx") != 0};
    out[n++] = (struct cpu_feature){"avx2", __builtin_cpu_supports("avx2") != 0};
    out[n++] = (struct cpu_feature){"fma", __builtin_cpu_supports("fma") != 0};
    out[n++] = (struct cpu_feature){"bmi2", __builtin_cpu_supports("bmi2") != 0};
    out[n++] = (struct cpu_feature){"avx512f", __builtin_cpu_supports("avx512f") != 0};
    out[n++] = (struct cpu_feature){"avx512bw", __builtin_cpu_supports("avx512bw") != 0};
    out[n++] = (struct cpu_feature){"avx512vl", __builtin_cpu_supports("avx512vl") != 0};
    out[n++] = (struct cpu_feature){"avx512dq", __builtin_cpu_supports("avx512dq") != 0};
    out[n++] = (struct cpu_feature){"avx512vbmi", __builtin_cpu_supports("avx512vbmi") != 0};
    out[n++] = (struct cpu_feature){"gfni", __builtin_cpu_supports("gfni") != 0};
    out[n++] = (struct cpu_feature){"popcnt", __builtin_cpu_supports("popcnt") != 0};
#else
    (void)out;
#endif
    return n;
}

enum { CPU_FEATURES_MAX = 16 };

static const char architecture[] =
#if defined(__x86_64__)
    "x86-64";
#elif defined(__aarch64__)
    "aarch64";
#else
    "other";
#endif

static void print_text(FILE *out, const struct cpu_feature *features, size_t n)
{
    fprintf(out, "phoenix   %s\ncompiler  %s\ncpu       %s", PX_VERSION, px_machine_compiler(),
            architecture);
    for (size_t i = 0; i < n; i++) {
        if (features[i].present)
            fprintf(out, " %s", features[i].name);
    }
    fputc('\n', out);
}

static void print_json(FILE *out, const struct cpu_feature *features, size_t n)
{
    struct px_buf text = px_buf(TEXT_MAX);
    struct px_json_writer w = px_json_writer(&text);
    px_json_begin_object(&w);
    px_json_member_text(&w, "version", PX_VERSION);
    px_json_member_text(&w, "compiler", px_machine_compiler());
    px_json_member_text(&w, "architecture", architecture);
    px_json_key(&w, "cpu_features");
    px_json_begin_array(&w);
    for (size_t i = 0; i < n; i++) {
        if (features[i].present)
            px_json_put_text(&w, features[i].name);
    }
    px_json_end_array(&w);
    px_json_end_object(&w);
    fprintf(out, "%s\n", px_buf_cstr(&text));
    px_buf_deinit(&text);
}

static int run_version(struct px_cli *cli)
{
    struct cpu_feature features[CPU_FEATURES_MAX];
    size_t n = list_cpu_features(features);
    if (px_cli_flag(cli, "json"))
        print_json(cli->out, features, n);
    else
        print_text(cli->out, features, n);
    return PX_EXIT_OK;
}

static const struct px_option options[] = {
    {"json", 0, PX_OPTION_FLAG, NULL, "Print JSON.", NULL},
    {0},
};

const struct px_verb px_verb_version = {
    .name = "version",
    .summary = "Print the version, the compiler, and what this CPU offers to the kernels.",
    .arguments = "",
    .options = options,
    .run = run_version,
};
