/* SPDX-License-Identifier: Apache-2.0 */
/* The entry point that every fuzz target defines (libFuzzer's contract). Returns 0. */
#ifndef PX_FUZZ_H
#define PX_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
