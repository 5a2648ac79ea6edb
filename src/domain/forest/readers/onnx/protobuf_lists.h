/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeated numbers of a protobuf message into growing lists. Each function takes one field, packed (bytes) or single,
 * and adds what it holds: PX_E_CORRUPT when the wire type does not fit, PX_E_NO_MEMORY.
 */
#ifndef PX_DOMAIN_FOREST_PROTOBUF_LISTS_H
#define PX_DOMAIN_FOREST_PROTOBUF_LISTS_H

#include "domain/forest/readers/lists.h"
#include "shared/protobuf.h"

PX_MUST_USE enum px_code px_protobuf_add_ints(const struct px_protobuf_field *field,
                                              struct px_ints *ret, struct px_err *err);
PX_MUST_USE enum px_code px_protobuf_add_floats(const struct px_protobuf_field *field,
                                                struct px_doubles *ret, struct px_err *err);
PX_MUST_USE enum px_code px_protobuf_add_doubles(const struct px_protobuf_field *field,
                                                 struct px_doubles *ret, struct px_err *err);

#endif
