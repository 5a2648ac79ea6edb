/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mapping of `otherwise`, `fallback` or an exit says for one tensor: plain text is a reference, numbers, true, false and quoted texts
 * are constants, and so is a list of them.
 */
#ifndef PX_DOMAIN_GRAPH_SUBSTITUTE_H
#define PX_DOMAIN_GRAPH_SUBSTITUTE_H

#include "domain/graph/graph_impl.h"

bool px_graph_is_reference(const struct px_yaml *node);

#endif
