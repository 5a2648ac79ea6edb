/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of strangers on a terminal. A server's answer or a file may hold bytes that a terminal obeys (its title, its
 * colours, what it types back), so what is quoted in messages is printed through here.
 */
#ifndef PX_INTERFACES_CLI_VISIBLE_H
#define PX_INTERFACES_CLI_VISIBLE_H

#include "shared/str.h"

#include <stdio.h>

/* Prints `text` with control characters, and bytes that are no UTF-8, as escapes of C: "\x1B", "\n". */
void px_print_visible(FILE *out, struct px_str text);

/* Settings as JSON, without the quotes and the outer braces, as people would write them down. */
void px_print_json(FILE *out, struct px_str json);

#endif
