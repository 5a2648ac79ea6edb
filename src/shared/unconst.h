/* SPDX-License-Identifier: Apache-2.0 */
/* For what lacks a const and is only read: arguments of others' functions, members that elsewhere are written to. */
#ifndef PX_SHARED_UNCONST_H
#define PX_SHARED_UNCONST_H

static inline void *px_unconst(const void *ptr)
{
    union {
        const void *from;
        void *to;
    } both = {.from = ptr};
    return both.to;
}

#endif
