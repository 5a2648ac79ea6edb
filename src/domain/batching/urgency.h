/* SPDX-License-Identifier: Apache-2.0 */
/* How urgent a request is, and who asks: what every mechanism that orders, refuses or sheds requests looks at. */
#ifndef PX_DOMAIN_BATCHING_URGENCY_H
#define PX_DOMAIN_BATCHING_URGENCY_H

#include <stdint.h>

/* What may be refused first when not all can be answered (after Google's "The Tail at Scale" and SRE book). */
enum px_criticality {
    PX_CRITICALITY_DEFAULT = 0,
    PX_CRITICALITY_CRITICAL,  /* refused last */
    PX_CRITICALITY_SHEDDABLE, /* refused first, and pushed out of a full queue by others */
};

struct px_urgency {
    unsigned priority; /* level of the model's queue, 1 is served first; 0: the model's default */
    enum px_criticality criticality;
    uint64_t client; /* hash of who asks: clients share a queue fairly; 0: nobody in particular */
};

#endif
