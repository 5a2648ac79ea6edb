/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of `phoenix bench`, of a model file and of a server. */
#ifndef PX_INTERFACES_CLI_BENCH_BENCH_H
#define PX_INTERFACES_CLI_BENCH_BENCH_H

#include "application/bench/bodies.h"
#include "application/bench/kernels.h"
#include "application/bench/ramp.h"
#include "interfaces/cli/cli.h"

int px_bench_load(struct px_cli *cli);
int px_bench_model(struct px_cli *cli);

/* A load run as it was asked for, and what it found. */
struct px_bench_load {
    struct px_str url, model;
    struct px_endpoint endpoint;
    struct px_bodies bodies;
    struct px_load_job job;
    struct px_ramp_options search;
    struct px_ramp ramp;
    size_t rows; /* per request */
    bool is_ramp;
    bool unicode;
};

void px_bench_load_print_text(FILE *out, const struct px_bench_load *bench);
void px_bench_load_print_json(FILE *out, const struct px_bench_load *bench);

void px_bench_model_print_text(FILE *out, const struct px_kernel_bench *bench);
void px_bench_model_print_json(FILE *out, const struct px_kernel_bench *bench);

#endif
