/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libc functions that this project does not call: unbounded, locale-bound, or not thread-safe.
 * The build includes this file before every source (cmake/flags.cmake), so a use is a compile error.
 * The headers come first because poisoning a name forbids its declaration as well.
 */
#ifndef PX_SHARED_BANNED_H
#define PX_SHARED_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* glibc defines these two as macros for clang under _FORTIFY_SOURCE. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf strtok strncpy strncat mktemp tmpnam
#pragma GCC poison gmtime localtime ctime asctime atoi atol atoll atof srand

/* Not poisoned, since members of other libraries' structs are called so too. clang takes the attribute on a first
 * declaration only, which is libc's; gcc's build finds the use. */
#ifndef __clang__
int rand(void) __attribute__((error("shared/rng.h has generators with a seed of their own")));
#endif

#endif
