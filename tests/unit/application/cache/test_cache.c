/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of answers: hits, collisions, time, room, versions that go, and who computes when many ask the same. */
#include "application/cache/cache.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include "harness.h"

#include <pthread.h>

enum { WAITS = 6 };

static struct px_cache *cache;
static struct px_cache_space *space;
static struct px_cache_wait waits[WAITS];
static unsigned n_woken;

static struct px_hash128 same_hash(const struct px_cache_request *request)
{
    (void)request;
    return (struct px_hash128){1, 2};
}

static void set_up_with(struct px_cache_settings settings, uint64_t ttl_ns)
{
    const struct px_cache_space_settings of_space = {.ttl_ns = ttl_ns, .waits = true};
    CHECK_OK(px_cache_create(&settings, &cache, NULL));
    CHECK_OK(px_cache_open(cache, &of_space, &space, NULL));
    memset(waits, 0, sizeof waits);
    n_woken = 0;
}

static void set_up(void)
{
    set_up_with((struct px_cache_settings){.bytes_max = 1 << 20}, 0);
}

static void tear_down(void)
{
    for (size_t i = 0; i < WAITS; i++)
        px_cache_settle(&waits[i]);
    px_cache_close(space);
    px_cache_destroy(cache);
}

static void count_wake(struct px_cache_wait *wait)
{
    (void)wait;
    __atomic_fetch_add(&n_woken, 1, __ATOMIC_SEQ_CST);
}

static enum px_cache_verdict ask_at(size_t i, const char *text, uint64_t now_ns)
{
    const struct px_str pieces[] = {px_str_n(text, 1), px_str(text + 1)};
    const struct px_cache_request request = {pieces, 2};
    waits[i].wake = count_wake;
    return px_cache_ask(space, &request, &waits[i], now_ns);
}

static enum px_cache_verdict ask(size_t i, const char *text)
{
    return ask_at(i, text, 1);
}

static struct px_tensor output(const char *values, size_t len)
{
    return (struct px_tensor){.name = PX_STR("y"),
                              .type = PX_TYPE_UINT8,
                              .shape = {len},
                              .n_dims = 1,
                              .bytes = px_str_n(values, len)};
}

static void give(size_t i, const char *text)
{
    const struct px_tensor y = output(text, strlen(text));
    const struct px_cache_answer answer = {.outputs = &y, .n_outputs = 1};
    px_cache_give(waits[i].entry, &answer, 1);
}

static void check_answer(size_t i, const char *text)
{
    const struct px_cache_answer *answer = px_cache_answer(waits[i].entry);
    CHECK_INT(answer->n_outputs, 1);
    CHECK_STR(answer->outputs[0].name, "y");
    CHECK_STR(answer->outputs[0].bytes, text);
    CHECK_INT((uintptr_t)answer->outputs[0].bytes.ptr % PX_CACHE_LINE, 0);
    px_cache_release(waits[i].entry);
}

static uint64_t count(const _Atomic uint64_t *counter)
{
    return atomic_load(counter);
}

PX_TEST(the_second_of_two_equal_requests_is_a_hit_that_allocates_nothing)
{
    set_up();
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    give(0, "answer");
    uint64_t allocations = px_alloc_count();
    CHECK_INT(ask(1, "abc"), PX_CACHE_HIT);
    check_answer(1, "answer");
    CHECK_INT(px_alloc_count(), allocations);
    CHECK_INT(ask(2, "abd"), PX_CACHE_LEAD);
    px_cache_fail(waits[2].entry, false);
    CHECK_INT(ask(2, "ab"), PX_CACHE_LEAD);
    px_cache_fail(waits[2].entry, true);
    CHECK_INT(count(&px_cache_counts(space)->entries), 1);
    tear_down();
}

PX_TEST(another_request_with_the_same_hash_does_not_get_the_answer)
{
    set_up_with((struct px_cache_settings){.bytes_max = 1 << 20, .hash = same_hash}, 0);
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    CHECK_INT(ask(1, "xyz"), PX_CACHE_PASS); /* nor does it wait for it */
    give(0, "answer");
    CHECK_INT(ask(1, "xyz"), PX_CACHE_PASS);
    CHECK_INT(ask(1, "abcd"), PX_CACHE_PASS);
    CHECK_INT(ask(1, "abc"), PX_CACHE_HIT);
    check_answer(1, "answer");
    CHECK_INT(count(&px_cache_counts(space)->collisions), 3);
    tear_down();
}

PX_TEST(an_answer_expires)
{
    set_up_with((struct px_cache_settings){.bytes_max = 1 << 20}, 100);
    CHECK_INT(ask_at(0, "abc", 1), PX_CACHE_LEAD);
    give(0, "old"); /* at 1 */
    CHECK_INT(ask_at(1, "abc", 100), PX_CACHE_HIT);
    check_answer(1, "old");
    CHECK_INT(ask_at(0, "abc", 101), PX_CACHE_LEAD);
    give(0, "new");
    CHECK_INT(count(&px_cache_counts(space)->expired), 1);
    CHECK_INT(count(&px_cache_counts(space)->entries), 1);
    tear_down();
}

PX_TEST(who_cannot_compute_may_look_for_what_is_kept_even_if_its_time_has_passed)
{
    const struct px_str piece = PX_STR("abc"), other = PX_STR("xyz");
    const struct px_cache_request request = {&piece, 1}, unknown = {&other, 1};
    set_up_with((struct px_cache_settings){.bytes_max = 1 << 20, .hash = same_hash}, 100);
    CHECK_INT(ask_at(0, "abc", 1), PX_CACHE_LEAD);
    CHECK(!px_cache_look(space, &request, 1)); /* it is only awaited */
    give(0, "answer");
    for (uint64_t now_ns = 0; now_ns <= 50; now_ns += 50) {
        waits[1].entry = px_cache_look(space, &request, now_ns);
        CHECK(waits[1].entry != NULL);
        check_answer(1, "answer");
    }
    CHECK(!px_cache_look(space, &unknown, 50));
    CHECK(!px_cache_look(space, &request, 101));
    tear_down();
}

PX_TEST(the_bytes_are_bounded_and_the_least_recently_used_go)
{
    char text[32], values[1001];
    set_up_with((struct px_cache_settings){.bytes_max = PX_CACHE_BYTES_MIN}, 0);
    memset(values, 'v', 1000);
    values[1000] = '\0';
    for (size_t i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "request %zu", i);
        CHECK_INT(ask(0, text), PX_CACHE_LEAD);
        give(0, values);
        CHECK(count(&px_cache_counts(space)->bytes) <= PX_CACHE_BYTES_MIN);
        CHECK_INT(ask(1, "request 0"), PX_CACHE_HIT); /* it is used all the time */
        check_answer(1, values);
    }
    CHECK_INT(ask(1, "request 1"), PX_CACHE_LEAD);
    px_cache_fail(waits[1].entry, true);
    const struct px_cache_counts *counts = px_cache_counts(space);
    CHECK_INT(count(&counts->evictions), 200 - count(&counts->entries));
    CHECK(count(&counts->entries) > 30);
    tear_down();
}

PX_TEST(an_answer_that_is_too_large_is_not_kept_but_handed_to_who_waits)
{
    static char values[PX_CACHE_BYTES_MIN / 4 + 1], text[PX_CACHE_BYTES_MIN / 4 + 2];
    set_up_with((struct px_cache_settings){.bytes_max = PX_CACHE_BYTES_MIN}, 0);
    memset(values, 'v', sizeof values - 1);
    memset(text, 't', sizeof text - 1);
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    CHECK_INT(ask(1, "abc"), PX_CACHE_WAIT);
    give(0, values);
    CHECK_INT(n_woken, 1);
    CHECK_INT(waits[1].verdict, PX_CACHE_HIT);
    check_answer(1, values);
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    give(0, values);
    CHECK_INT(ask(0, text), PX_CACHE_PASS); /* nor a request */
    CHECK_INT(count(&px_cache_counts(space)->unkept), 3);
    CHECK_INT(count(&px_cache_counts(space)->entries), 0);
    tear_down();
}

PX_TEST(a_degraded_answer_is_handed_to_who_waits_and_not_kept)
{
    set_up();
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    CHECK_INT(ask(1, "abc"), PX_CACHE_WAIT);
    const struct px_tensor y = output("a", 1);
    const struct px_cache_answer answer = {&y, 1, PX_STR("deep")};
    px_cache_give(waits[0].entry, &answer, 1);
    CHECK_INT(waits[1].verdict, PX_CACHE_HIT);
    CHECK_STR(px_cache_answer(waits[1].entry)->degraded, "deep");
    check_answer(1, "a");
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    px_cache_fail(waits[0].entry, true);
    tear_down();
}

PX_TEST(answers_go_with_their_version_but_not_under_a_reader)
{
    const struct px_cache_space_settings settings = {0};
    struct px_cache_space *first, *second;
    set_up();
    first = space;
    CHECK_OK(px_cache_open(cache, &settings, &second, NULL));
    for (char c = 'a'; c <= 'z'; c++) {
        const char text[] = {c, c, '\0'};
        CHECK_INT(ask(0, text), PX_CACHE_LEAD);
        give(0, "first");
    }
    space = second;
    CHECK_INT(ask(0, "aa"), PX_CACHE_LEAD); /* another version knows nothing of it */
    give(0, "second");
    space = first;
    CHECK_INT(ask(1, "aa"), PX_CACHE_HIT);
    px_cache_close(first);
    check_answer(1, "first");
    space = second;
    CHECK_INT(ask(1, "aa"), PX_CACHE_HIT);
    check_answer(1, "second");
    tear_down();
}

PX_TEST(equal_requests_wait_for_the_one_that_computes)
{
    set_up();
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    for (size_t i = 1; i < WAITS; i++)
        CHECK_INT(ask(i, "abc"), PX_CACHE_WAIT);
    CHECK_INT(n_woken, 0);
    give(0, "answer");
    CHECK_INT(n_woken, WAITS - 1);
    for (size_t i = 1; i < WAITS; i++) {
        CHECK_INT(waits[i].verdict, PX_CACHE_HIT);
        check_answer(i, "answer");
    }
    tear_down();
}

PX_TEST(when_the_leader_fails_one_of_the_others_leads)
{
    set_up();
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    for (size_t i = 1; i < 4; i++)
        CHECK_INT(ask(i, "abc"), PX_CACHE_WAIT);
    px_cache_fail(waits[0].entry, false);
    CHECK_INT(n_woken, 1);
    CHECK_INT(waits[1].verdict, PX_CACHE_LEAD);
    CHECK_INT(ask(0, "abc"), PX_CACHE_WAIT); /* behind the others */
    give(1, "answer");
    CHECK_INT(n_woken, 4);
    check_answer(2, "answer");
    check_answer(3, "answer");
    check_answer(0, "answer");
    tear_down();
}

PX_TEST(a_leader_whose_client_left_says_nothing_about_the_model)
{
    set_up();
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    for (size_t i = 1; i < 4; i++)
        CHECK_INT(ask(i, "abc"), PX_CACHE_WAIT);
    px_cache_fail(waits[0].entry, true);
    CHECK_INT(waits[1].verdict, PX_CACHE_LEAD);
    px_cache_fail(waits[1].entry, true);
    CHECK_INT(waits[2].verdict, PX_CACHE_LEAD);
    CHECK_INT(n_woken, 2);
    px_cache_fail(waits[2].entry, false);
    CHECK_INT(waits[3].verdict, PX_CACHE_LEAD);
    px_cache_fail(waits[3].entry, false);
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    px_cache_fail(waits[0].entry, false);
    tear_down();
}

PX_TEST(after_two_failures_each_computes_for_itself)
{
    set_up();
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    for (size_t i = 1; i < 4; i++)
        CHECK_INT(ask(i, "abc"), PX_CACHE_WAIT);
    px_cache_fail(waits[0].entry, false);
    px_cache_fail(waits[1].entry, false);
    CHECK_INT(n_woken, 3);
    CHECK_INT(waits[2].verdict, PX_CACHE_PASS);
    CHECK_INT(waits[3].verdict, PX_CACHE_PASS);
    tear_down();
}

PX_TEST(one_who_waits_may_leave_and_the_others_stay)
{
    set_up();
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    CHECK_INT(ask(1, "abc"), PX_CACHE_WAIT);
    CHECK_INT(ask(2, "abc"), PX_CACHE_WAIT);
    px_cache_leave(&waits[1]);
    CHECK_INT(n_woken, 1);
    CHECK_INT(waits[1].verdict, PX_CACHE_CANCELLED);
    give(0, "answer");
    px_cache_leave(&waits[2]); /* too late: it has its answer */
    CHECK_INT(n_woken, 2);
    check_answer(2, "answer");
    tear_down();
}

PX_TEST(one_who_waits_is_woken_at_its_own_deadline)
{
    set_up();
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    waits[1].deadline_ns = px_clock_monotonic_ns() + PX_NS_PER_MS;
    waits[2].deadline_ns = px_clock_monotonic_ns() + 1000 * PX_NS_PER_S;
    CHECK_INT(ask(1, "abc"), PX_CACHE_WAIT);
    CHECK_INT(ask(2, "abc"), PX_CACHE_WAIT);
    while (__atomic_load_n(&n_woken, __ATOMIC_SEQ_CST) == 0)
        continue;
    px_cache_settle(&waits[1]);
    CHECK_INT(waits[1].verdict, PX_CACHE_LATE);
    give(0, "answer");
    CHECK_INT(n_woken, 2);
    check_answer(2, "answer");
    tear_down();
}

PX_TEST(only_a_leader_of_the_same_group_is_waited_for)
{
    set_up();
    waits[0].group = 1;
    waits[1].group = 2;
    waits[2].group = 1;
    CHECK_INT(ask(0, "abc"), PX_CACHE_LEAD);
    CHECK_INT(ask(1, "abc"), PX_CACHE_PASS);
    CHECK_INT(ask(2, "abc"), PX_CACHE_WAIT);
    give(0, "answer");
    check_answer(2, "answer");
    CHECK_INT(ask(1, "abc"), PX_CACHE_HIT); /* what is there is for all */
    check_answer(1, "answer");
    tear_down();
}

PX_TEST(without_memory_each_computes_for_itself)
{
    bool has_failed = true;
    for (uint64_t n = 1; has_failed; n++) {
        const struct px_cache_settings settings = {.bytes_max = 1 << 20};
        const struct px_cache_space_settings of_space = {0};
        memset(waits, 0, sizeof waits);
        n_woken = 0;
        px_alloc_fail_at(n);
        cache = NULL;
        space = NULL;
        enum px_code code = px_cache_create(&settings, &cache, NULL);
        if (code == PX_OK)
            code = px_cache_open(cache, &of_space, &space, NULL);
        has_failed = code != PX_OK;
        if (code == PX_OK && ask(0, "abc") == PX_CACHE_LEAD) {
            waits[1].deadline_ns = UINT64_MAX / 2;
            enum px_cache_verdict verdict = ask(1, "abc");
            give(0, "answer");
            if (verdict == PX_CACHE_WAIT && waits[1].verdict == PX_CACHE_HIT)
                check_answer(1, "answer");
            else
                has_failed = true;
            CHECK(verdict == PX_CACHE_PASS || n_woken == 1);
        } else {
            has_failed = true;
        }
        px_alloc_fail_at(0);
        px_cache_settle(&waits[1]);
        px_cache_close(space);
        px_cache_destroy(cache);
        CHECK(n < 20);
    }
}

/* ---- many threads ---- */

enum { THREADS = 4, ROUNDS = 4000, TEXTS = 7 };

struct asker {
    struct px_cache_wait wait;
    unsigned number;
    pthread_mutex_t mutex;
    pthread_cond_t woken;
    bool is_woken;
    unsigned n_hits, n_computed;
};

static void wake_asker(struct px_cache_wait *wait)
{
    struct asker *asker = PX_CONTAINER_OF(wait, struct asker, wait);
    pthread_mutex_lock(&asker->mutex);
    asker->is_woken = true;
    pthread_cond_signal(&asker->woken);
    pthread_mutex_unlock(&asker->mutex);
}

static enum px_cache_verdict wait_woken(struct asker *asker)
{
    pthread_mutex_lock(&asker->mutex);
    while (!asker->is_woken)
        pthread_cond_wait(&asker->woken, &asker->mutex);
    pthread_mutex_unlock(&asker->mutex);
    px_cache_settle(&asker->wait);
    return asker->wait.verdict;
}

static bool ask_round(struct asker *asker, unsigned round)
{
    char text[2] = {(char)('a' + (round * 31 + asker->number * 7) / 16 % TEXTS), 'x'};
    const struct px_str piece = px_str_n(text, 2);
    const struct px_cache_request request = {&piece, 1};
    asker->is_woken = false;
    asker->wait = (struct px_cache_wait){
        .wake = wake_asker,
        .deadline_ns = round % 3 ? 0 : px_clock_monotonic_ns() + round % 5 * 20000 + 1};
    enum px_cache_verdict verdict =
        px_cache_ask(space, &request, &asker->wait, px_clock_monotonic_ns());
    if (verdict == PX_CACHE_WAIT && round % 11 == 0)
        px_cache_leave(&asker->wait);
    if (verdict == PX_CACHE_WAIT)
        verdict = wait_woken(asker);
    const struct px_tensor y = output(text, 2);
    const struct px_cache_answer answer = {.outputs = &y, .n_outputs = 1};
    bool is_right = true;
    if (verdict == PX_CACHE_HIT) {
        const struct px_tensor *out = px_cache_answer(asker->wait.entry)->outputs;
        is_right = px_str_eq(out->bytes, piece);
        px_cache_release(asker->wait.entry);
        asker->n_hits++;
    } else if (verdict == PX_CACHE_LEAD && round % 7 == 0) {
        px_cache_fail(asker->wait.entry, round % 2 != 0);
    } else if (verdict == PX_CACHE_LEAD) {
        px_cache_give(asker->wait.entry, &answer, px_clock_monotonic_ns());
        asker->n_computed++;
    }
    return is_right;
}

static void *ask_many(void *argument)
{
    struct asker *asker = argument;
    bool is_right = true;
    for (unsigned round = 0; round < ROUNDS; round++)
        is_right = ask_round(asker, round) && is_right;
    return is_right ? argument : NULL;
}

PX_TEST(many_threads_ask_the_same_and_each_is_answered_once)
{
    pthread_t threads[THREADS];
    static struct asker askers[THREADS];
    unsigned n_hits = 0;
    set_up_with((struct px_cache_settings){.bytes_max = 1 << 20}, 50000); /* expires all the time */
    for (unsigned i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.number = i};
        pthread_mutex_init(&askers[i].mutex, NULL);
        pthread_cond_init(&askers[i].woken, NULL);
        CHECK_INT(pthread_create(&threads[i], NULL, ask_many, &askers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *is_right;
        pthread_join(threads[i], &is_right);
        CHECK(is_right != NULL);
        n_hits += askers[i].n_hits;
    }
    CHECK(n_hits > 0);
    tear_down();
}

PX_TEST_MAIN(
    T(the_second_of_two_equal_requests_is_a_hit_that_allocates_nothing)
        T(another_request_with_the_same_hash_does_not_get_the_answer) T(an_answer_expires)
            T(who_cannot_compute_may_look_for_what_is_kept_even_if_its_time_has_passed)
                T(the_bytes_are_bounded_and_the_least_recently_used_go)
                    T(an_answer_that_is_too_large_is_not_kept_but_handed_to_who_waits)
                        T(a_degraded_answer_is_handed_to_who_waits_and_not_kept) T(
                            answers_go_with_their_version_but_not_under_a_reader)
                            T(equal_requests_wait_for_the_one_that_computes) T(
                                when_the_leader_fails_one_of_the_others_leads)
                                T(a_leader_whose_client_left_says_nothing_about_the_model) T(
                                    after_two_failures_each_computes_for_itself)
                                    T(one_who_waits_may_leave_and_the_others_stay) T(
                                        one_who_waits_is_woken_at_its_own_deadline)
                                        T(only_a_leader_of_the_same_group_is_waited_for) T(
                                            without_memory_each_computes_for_itself)
                                            T(many_threads_ask_the_same_and_each_is_answered_once))
