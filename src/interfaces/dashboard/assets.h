/* SPDX-License-Identifier: Apache-2.0 */
/* The files of web/, compiled into the binary by cmake/embed.cmake. */
#ifndef PX_INTERFACES_DASHBOARD_ASSETS_H
#define PX_INTERFACES_DASHBOARD_ASSETS_H

struct px_asset {
    const char *name; /* "index.html" */
    const unsigned char *begin, *end;
};

extern const struct px_asset px_dashboard_assets[]; /* ended by a row without a name */

#endif
