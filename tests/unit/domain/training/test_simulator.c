/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/training/metrics.h"
#include "domain/training/simulator.h"

#include "harness.h"

enum { N = 50000 };

PX_TEST(is_the_same_for_the_same_seed)
{
    struct px_simulator a = px_simulator(1), b = px_simulator(1), c = px_simulator(2);
    struct px_buf texts[3] = {px_buf(1 << 20), px_buf(1 << 20), px_buf(1 << 20)};
    struct px_payment payment;
    for (int i = 0; i < 100; i++) {
        px_simulator_next(&a, &payment);
        px_payment_put(&payment, &texts[0]);
        px_simulator_next(&b, &payment);
        px_payment_put(&payment, &texts[1]);
        px_simulator_next(&c, &payment);
        px_payment_put(&payment, &texts[2]);
    }
    CHECK(px_str_eq(px_buf_view(&texts[0]), px_buf_view(&texts[1])));
    CHECK(!px_str_eq(px_buf_view(&texts[0]), px_buf_view(&texts[2])));
    for (int i = 0; i < 3; i++)
        px_buf_deinit(&texts[i]);
}

PX_TEST(writes_a_field_for_every_column)
{
    struct px_simulator s = px_simulator(5);
    struct px_payment payment;
    struct px_buf csv = px_buf(1 << 20);
    px_payment_header(&csv);
    for (int i = 0; i < 200; i++) {
        px_simulator_next(&s, &payment);
        px_payment_put(&payment, &csv);
    }
    struct px_str rest = px_buf_view(&csv);
    for (int line = 0; line <= 200; line++) {
        struct px_str fields = px_str_cut(&rest, '\n');
        int n = 0;
        for (; fields.ptr; n++)
            px_str_cut(&fields, ',');
        CHECK_INT(n, 16);
    }
    CHECK(!memmem(csv.ptr, csv.len, "nan", 3));
    px_buf_deinit(&csv);
}

PX_TEST(has_rare_fraud_that_can_be_ranked)
{
    static float labels[N];
    static double scores[N];
    struct px_simulator s = px_simulator(1);
    struct px_payment payment;
    struct px_binary_metrics m;
    int64_t before = 0;
    for (int i = 0; i < N; i++) {
        px_simulator_next(&s, &payment);
        CHECK(payment.time_s > before);
        CHECK(payment.amount > 0 && payment.hour >= 0 && payment.hour < 24);
        before = payment.time_s;
        labels[i] = payment.is_fraud;
        scores[i] = payment.fraud_probability;
    }
    CHECK_OK(px_metrics_binary(labels, scores, N, &m, NULL));
    double rate = (double)m.n_positive / N;
    CHECK(rate > 0.01 && rate < 0.03);
    CHECK(m.auc > 0.93 && m.auc < 0.99);
    CHECK(m.ece < 0.005);
}

PX_TEST_MAIN(T(is_the_same_for_the_same_seed) T(writes_a_field_for_every_column)
                 T(has_rare_fraud_that_can_be_ranked))
