/* SPDX-License-Identifier: Apache-2.0 */
/* What `phoenix train` prints when it is done. */
#ifndef PX_INTERFACES_CLI_TRAIN_REPORT_H
#define PX_INTERFACES_CLI_TRAIN_REPORT_H

#include "application/training/training.h"

#include <stdio.h>

void px_train_print_text(FILE *out, const struct px_training_report *report);
void px_train_print_json(FILE *out, const struct px_training_report *report);

#endif
