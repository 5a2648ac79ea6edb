/* SPDX-License-Identifier: Apache-2.0 */
/* The face of this room: what other rooms of the domain may know of overload. */
#ifndef PX_DOMAIN_OVERLOAD_OVERLOAD_H
#define PX_DOMAIN_OVERLOAD_OVERLOAD_H

#include "domain/overload/breaker.h"

#endif
