/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal digits. */
#ifndef PX_SHARED_HEX_H
#define PX_SHARED_HEX_H

/* 0 to 15; -1 when `c` is no hexadecimal digit. */
static inline int px_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

#endif
