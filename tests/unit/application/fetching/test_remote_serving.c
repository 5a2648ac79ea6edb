/* SPDX-License-Identifier: Apache-2.0 */
/* A server whose models lie in a store: who waits, what is fetched beside what, and what a stop leaves. */
#include "application/fetching/fetching.h"
#include "application/residency/polling.h"
#include "application/serving/repository_impl.h"
#include "manual_loops.h"
#include "memory_store.h"
#include "shared/clock.h"
#include "tiny_model.h"

#include "harness.h"

#include <ftw.h>
#include <unistd.h>

enum { LOOPS = 2, MODELS = 4 };

static char root[64];
static struct memory_store store;
static struct px_serving *serving;
static struct manual_loops loops;
static struct px_buf index_text;
static size_t n_loaded;
/* Files of their own: the tiny model, and blanks behind it. */
static char files[MODELS][8192];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void put_file(size_t i, const char *sha256)
{
    px_buf_printf(
        &index_text,
        "%s{\"name\": \"m%zu\", \"versions\": [{\"version\": \"1\", \"folder\": \"m%zu/1\", "
        "\"files\": [{\"path\": \"model.txt\", \"size\": %zu, \"sha256\": \"%s\"}]}]}",
        i ? "," : "", i, i, strlen(files[i]), sha256);
}

/* The index names what the files are now. */
static void write_index(void)
{
    px_buf_clear(&index_text);
    px_buf_text(&index_text, "{\"phoenix_models\": 1, \"models\": [");
    for (size_t i = 0; i < MODELS; i++) {
        char hex[PX_SHA256_HEX], path[32];
        struct px_sha256 sha = px_sha256();
        px_sha256_add(&sha, px_str(files[i]));
        px_sha256_end(&sha, hex);
        put_file(i, hex);
        snprintf(path, sizeof path, "m%zu/1/model.txt", i);
        memory_store_put(&store, path, px_str(files[i]));
    }
    px_buf_text(&index_text, "]}");
    memory_store_put(&store, PX_MODEL_INDEX_FILE, px_buf_view(&index_text));
}

static void fill_store(void)
{
    memory_store_init(&store);
    memory_store_of_urls = &store;
    index_text = px_buf(1 << 20);
    for (size_t i = 0; i < MODELS; i++) {
        int n = snprintf(files[i], sizeof files[i], "%s%*s", tiny_model, (int)i + 1, "\n");
        CHECK(n > 0 && (size_t)n < sizeof files[i]);
    }
    write_index();
}

static void start(void)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 100, .batch_rows_max = 16, .wave_bytes_max = 1 << 26};
    const struct px_residency_settings settings = {.load_wait_ns = 3600 * PX_NS_PER_S};
    const struct px_fetching_settings fetching = {.stores = &memory_stores, .cache_dir = root};
    n_loaded = 0;
    CHECK_OK(px_serving_create(LOOPS, &limits, &serving, NULL));
    px_serving_set_residency(serving, &settings);
    CHECK_OK(px_serving_set_fetching(serving, &fetching, NULL));
    CHECK_OK(px_serving_add(serving, "memory://models/", NULL));
    manual_loops_init(&loops, LOOPS);
    CHECK_OK(px_serving_manage(serving, &loops.port, true, NULL));
    px_repository_of(serving)->patience_ns = PX_NS_PER_MS; /* only loop 0 runs */
}

static void stop(void)
{
    for (unsigned i = 0; i < LOOPS; i++)
        manual_loops_stop(&loops, i);
    px_serving_unmanage(serving);
    px_serving_destroy(serving);
}

static void set_up(void)
{
    snprintf(root, sizeof root, "/tmp/px-remote-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    fill_store();
    start();
}

static void tear_down(void)
{
    stop();
    px_buf_deinit(&index_text);
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void loaded(struct px_call *call)
{
    (void)call;
    n_loaded++;
}

static struct px_call call_for(const char *name)
{
    return (struct px_call){.model_name = px_str(name), .received_ns = px_clock_monotonic_ns()};
}

static void run_until_loaded(size_t n)
{
    while (n_loaded < n) {
        manual_loops_run(&loops, 0);
        usleep(100);
    }
}

static enum px_model_state state_of(const char *name)
{
    pthread_mutex_lock(&px_repository_of(serving)->mutex); /* the loader swaps under it */
    const struct px_model *model = px_serving_find_known(serving, px_str(name), px_str("1"), NULL);
    enum px_model_state state = model ? model->state : PX_MODEL_FAILED;
    pthread_mutex_unlock(&px_repository_of(serving)->mutex);
    return state;
}

static void bring(const char *name)
{
    struct px_call call = call_for(name);
    size_t before = n_loaded;
    CHECK_OK(px_call_await_model(serving, &call, loaded));
    run_until_loaded(before + 1);
    CHECK_OK(call.code);
}

static const struct px_fetch_counts *counts(void)
{
    return px_fetching_counts(px_serving_fetching(serving));
}

PX_TEST(only_the_index_is_read_at_the_start)
{
    set_up();
    CHECK_INT(px_serving_models(serving)->n_models, MODELS);
    CHECK_INT(store.n_reads, 1);
    CHECK_INT(state_of("m0"), PX_MODEL_REGISTERED);
    bring("m0");
    CHECK_INT(state_of("m0"), PX_MODEL_READY);
    CHECK_INT(store.n_reads, 2);
    CHECK_INT(atomic_load(&counts()->fetches), 1);
    tear_down();
}

PX_TEST(calls_share_a_fetch_and_others_are_not_delayed)
{
    struct px_call a = call_for("m0"), b = call_for("m0");
    set_up();
    bring("m1");
    stop();
    start();
    atomic_store(&store.holds, true);
    CHECK_OK(px_call_await_model(serving, &a, loaded));
    CHECK_OK(px_call_await_model(serving, &b, loaded));
    while (atomic_load(&store.n_waiting) == 0)
        usleep(100);
    bring("m1"); /* is on the disk */
    CHECK_INT(n_loaded, 1);
    CHECK_INT(atomic_load(&counts()->hits), 1);
    atomic_store(&store.holds, false);
    run_until_loaded(3);
    CHECK(a.code == PX_OK && b.code == PX_OK);
    CHECK_INT(atomic_load(&counts()->fetches), 1);
    tear_down();
}

PX_TEST(who_has_waited_long_enough_is_told_that_it_is_being_fetched)
{
    struct px_call call = call_for("m0"), late = call_for("m0");
    set_up();
    atomic_store(&store.holds, true);
    CHECK_OK(px_call_await_model(serving, &call, loaded));
    while (atomic_load(&store.n_waiting) == 0)
        usleep(100);
    late.received_ns -= 3600 * PX_NS_PER_S;
    CHECK_INT(px_call_await_model(serving, &late, loaded), PX_E_UNAVAILABLE);
    CHECK(strstr(late.err.message, "being fetched") != NULL);
    atomic_store(&store.holds, false);
    run_until_loaded(1);
    CHECK_INT(state_of("m0"), PX_MODEL_READY);
    tear_down();
}

PX_TEST(what_cannot_be_had_fails_with_its_reason)
{
    struct px_call call = call_for("m0");
    struct px_err err;
    set_up();
    files[0][3] ^= 1; /* other bytes than the index says */
    CHECK_OK(px_call_await_model(serving, &call, loaded));
    run_until_loaded(1);
    CHECK_INT(state_of("m0"), PX_MODEL_FAILED);
    CHECK(!px_serving_find_known(serving, px_str("m0"), px_str("1"), &err));
    CHECK(strstr(err.message, "SHA-256") != NULL);
    CHECK_INT(atomic_load(&counts()->failed), 1);
    bring("m1");
    tear_down();
}

PX_TEST(a_server_stops_while_it_fetches)
{
    struct px_call calls[MODELS];
    set_up();
    atomic_store(&store.holds, true);
    for (size_t i = 0; i < MODELS; i++) {
        static const char *const names[] = {"m0", "m1", "m2", "m3"};
        calls[i] = call_for(names[i]);
        CHECK_OK(px_call_await_model(serving, &calls[i], loaded));
    }
    while (atomic_load(&store.n_waiting) < MODELS)
        usleep(100);
    tear_down();
}

PX_TEST(without_the_store_the_last_index_and_what_was_fetched_serve)
{
    set_up();
    bring("m0");
    stop();
    store.fail_reads = 1000000;
    start();
    CHECK_INT(px_serving_models(serving)->n_models, MODELS);
    bring("m0");
    CHECK_INT(state_of("m0"), PX_MODEL_READY);
    CHECK_INT(atomic_load(&counts()->failed_index_reads), 1);
    tear_down();
}

/* ---- explicit loads and polling ---- */

static enum px_code last_code;

static void done(struct px_repository_request *request)
{
    last_code = request->code;
    n_loaded++;
}

static void load(const char *name)
{
    struct px_repository_request *request = px_repository_request_create(PX_REPOSITORY_LOAD);
    size_t before = n_loaded;
    CHECK(request != NULL);
    request->name = px_str(name);
    request->done = done;
    CHECK_OK(px_repository_submit(serving, request, NULL));
    run_until_loaded(before + 1);
}

PX_TEST(a_client_loads_what_the_index_has_now)
{
    set_up();
    files[2][strlen(files[2]) - 1] = ' '; /* another file of the same model */
    write_index();
    load("m2");
    CHECK_OK(last_code);
    CHECK_INT(state_of("m2"), PX_MODEL_READY);
    CHECK_INT(atomic_load(&counts()->index_reads), 2);
    load("nothing");
    CHECK_INT(last_code, PX_E_NOT_FOUND);
    store.fail_reads = 1000000;
    store.failure = PX_E_FORBIDDEN;
    load("m3");
    CHECK_INT(last_code, PX_E_FORBIDDEN);
    tear_down();
}

PX_TEST(a_server_stops_while_a_load_is_fetched)
{
    set_up();
    struct px_repository_request *request = px_repository_request_create(PX_REPOSITORY_LOAD);
    CHECK(request != NULL);
    request->name = px_str("m0");
    request->done = done;
    atomic_store(&store.holds, true);
    CHECK_OK(px_repository_submit(serving, request, NULL));
    while (atomic_load(&store.n_waiting) == 0)
        usleep(100);
    tear_down();
}

PX_TEST(what_is_expected_comes_ahead)
{
    struct px_cached_version *held = NULL;
    set_up();
    struct px_fetching *fetching = serving->fetching;
    CHECK(!px_fetching_take_ahead(fetching, px_str("m0"), px_str("1"), &held));
    while (!px_fetching_take_ahead(fetching, px_str("m0"), px_str("1"), &held))
        usleep(1000);
    while (atomic_load(&counts()->fetches) == 0) /* is counted when all is done */
        usleep(1000);
    CHECK_INT(atomic_load(&counts()->fetches), 1);
    px_cached_version_release(held);
    CHECK(!px_fetching_take_ahead(fetching, px_str("no"), px_str("1"), &held));
    tear_down();
}

PX_TEST(polling_follows_the_index_and_tries_again)
{
    struct px_polling *polling;
    set_up();
    bring("m0");
    CHECK_OK(px_polling_create(px_repository_of(serving), 0, &polling, NULL));
    px_polling_look(polling);
    files[0][strlen(files[0]) - 1] = ' ';
    write_index();
    const struct px_model *before = px_serving_models(serving)->models[0];
    uint64_t was_ready_ns = before->ready_ns;
    pthread_mutex_lock(&store.mutex);
    store.fail_path = "m0/1/model.txt";
    store.fail_reads = 5; /* all attempts of the first fetch */
    pthread_mutex_unlock(&store.mutex);
    while (was_ready_ns == px_serving_models(serving)->models[0]->ready_ns) {
        px_polling_look(polling);
        manual_loops_run(&loops, 0);
        usleep(1000);
    }
    CHECK_INT(atomic_load(&counts()->failed), 1);
    CHECK(was_ready_ns != px_serving_models(serving)->models[0]->ready_ns);
    CHECK_INT(state_of("m0"), PX_MODEL_READY);
    px_polling_destroy(polling);
    tear_down();
}

PX_TEST_MAIN(T(only_the_index_is_read_at_the_start)
                 T(calls_share_a_fetch_and_others_are_not_delayed)
                     T(who_has_waited_long_enough_is_told_that_it_is_being_fetched)
                         T(what_cannot_be_had_fails_with_its_reason)
                             T(a_server_stops_while_it_fetches)
                                 T(without_the_store_the_last_index_and_what_was_fetched_serve)
                                     T(a_client_loads_what_the_index_has_now)
                                         T(a_server_stops_while_a_load_is_fetched)
                                             T(what_is_expected_comes_ahead)
                                                 T(polling_follows_the_index_and_tries_again))
