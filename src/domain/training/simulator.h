/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulator of card payments with fraud, for demonstrations, tests and benchmarks.
 *
 * The same seed gives the same payments. Each payment is drawn from a card's habits, then
 * from its features a probability of fraud is computed (simulator.c documents the patterns: they are
 * interactions, which a linear model misses), and the label is drawn with that probability. So the best
 * possible ranking is known: it is the probability itself, which is returned beside the payment.
 *
 * docs/operations/demo.md describes the columns for users. Nothing here describes real people or banks.
 */
#ifndef PX_DOMAIN_TRAINING_SIMULATOR_H
#define PX_DOMAIN_TRAINING_SIMULATOR_H

#include "shared/buf.h"
#include "shared/rng.h"

struct px_payment {
    int64_t time_s; /* seconds since 1970-01-01 UTC */
    double amount;
    int merchant_category, entry_mode, country, card_country; /* see px_payment_* names */
    int hour, n_tx_24h, n_declined_24h, card_age_days;
    /* NaN when missing */
    double customer_age, minutes_since_last, distance_km, amount_ratio;
    int device_known; /* 0, 1, -1 = missing: not an online payment */
    bool is_fraud;
    double fraud_probability; /* what the label was drawn with; not in the file */
};

struct px_simulator {
    struct px_rng rng;
    int64_t time_s;
};

struct px_simulator px_simulator(uint64_t seed);

/* The next payment; times ascend. */
void px_simulator_next(struct px_simulator *simulator, struct px_payment *ret);

/* The header line, and one payment as a line, of the CSV file. */
void px_payment_header(struct px_buf *csv);
void px_payment_put(const struct px_payment *payment, struct px_buf *csv);

#endif
