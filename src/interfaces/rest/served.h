/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/rest: models and versions that settings and paths name otherwise than by their own names. */
#ifndef PX_INTERFACES_REST_SERVED_H
#define PX_INTERFACES_REST_SERVED_H

#include "interfaces/rest/handlers.h"

/* For requests whose path names no model: sets args[0], or answers the request and returns false. */
bool px_rest_choose_model(struct px_rest_request *request);

/* Puts the version that a label stands for in the place of the label (args[1]). */
PX_MUST_USE enum px_code px_label_resolve(struct px_rest_request *request, struct px_err *err);

/* How a setting's names are judged (served.c). */
struct px_served_names {
    struct px_serving *serving;
    const char *setting; /* that names them */
    bool may_come; /* clients may load models later: what nobody serves is a warning in the log */
};
/* Is the model served, in that version when one is given? PX_E_INVALID says what is. */
PX_MUST_USE enum px_code px_served_check(const struct px_served_names *names, struct px_str name,
                                         struct px_str version, struct px_err *err);

/* "bank:stable=3, bank:canary=4" is well-formed. */
PX_MUST_USE enum px_code px_labels_check(const struct px_rest_settings *settings,
                                         struct px_err *err);
/* And every version that it names is served. */
PX_MUST_USE enum px_code px_labels_check_served(const struct px_rest_settings *settings,
                                                struct px_err *err);

#endif
