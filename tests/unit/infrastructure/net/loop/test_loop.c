/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: sources, deadlines, wake-ups. Times are pushed by hand, never measured. */
#include "harness.h"
#include "infrastructure/net/loop/loop.h"
#include "shared/compiler.h"

#include <fcntl.h>
#include <unistd.h>

static int calls;
static struct px_deadline *expired_order[8];

static void count_call(struct px_loop_source *source, uint32_t events)
{
    char byte;
    CHECK(events & EPOLLIN);
    CHECK(read(source->fd, &byte, 1) == 1);
    calls++;
}

static void note_expired(struct px_deadline *deadline)
{
    CHECK(deadline->list == NULL);
    expired_order[calls++] = deadline;
}

PX_TEST(calls_a_source_until_it_has_read_everything)
{
    struct px_loop loop;
    int ends[2];
    CHECK_OK(px_loop_init(&loop, NULL));
    CHECK(pipe(ends) == 0);
    struct px_loop_source source = {ends[0], count_call};
    CHECK_OK(px_loop_add(&loop, &source, EPOLLIN, NULL));
    CHECK(write(ends[1], "ab", 2) == 2);
    calls = 0;
    px_loop_poll(&loop, false);
    px_loop_poll(&loop, false);
    CHECK_INT(calls, 2);
    px_loop_poll(&loop, true);
    CHECK_INT(calls, 2);
    px_loop_remove(&loop, &source);
    close(ends[0]);
    close(ends[1]);
    px_loop_deinit(&loop);
}

PX_TEST(descriptor_zero_is_one_like_any_other)
{
    struct px_loop loop = {0};
    int kept = dup(0), inherited = kept >= 0;
    px_loop_deinit(&loop); /* never opened: closes nothing */
    CHECK(!inherited || fcntl(0, F_GETFD) >= 0);
    close(0);
    CHECK_OK(px_loop_init(&loop, NULL));
    CHECK(fcntl(0, F_GETFD) >= 0); /* a loop that a service without standard input would get */
    px_loop_deinit(&loop);
    CHECK(fcntl(0, F_GETFD) < 0);
    px_loop_deinit(&loop);
    if (inherited)
        CHECK_INT(dup2(kept, 0), 0);
    close(kept);
}

PX_TEST(a_wake_up_ends_the_wait_once)
{
    struct px_loop loop;
    CHECK_OK(px_loop_init(&loop, NULL));
    px_loop_wake(&loop);
    px_loop_wake(&loop);
    px_loop_poll(&loop, false); /* would wait for ever without the wake-up */
    px_loop_poll(&loop, true);
    px_loop_deinit(&loop);
}

PX_TEST(a_descriptor_that_cannot_be_watched_is_an_error)
{
    struct px_loop loop;
    struct px_err err;
    struct px_loop_source source = {-1, count_call};
    CHECK_OK(px_loop_init(&loop, NULL));
    CHECK_INT(px_loop_add(&loop, &source, EPOLLIN, &err), PX_E_IO);
    CHECK_CONTAINS(err.message, "Bad file descriptor");
    px_loop_deinit(&loop);
}

PX_TEST(deadlines_expire_in_order_and_only_when_passed)
{
    struct px_loop loop;
    struct px_deadline_list list;
    struct px_deadline a = {0}, b = {0}, c = {0};
    CHECK_OK(px_loop_init(&loop, NULL));
    px_deadline_list_init(&list, 10, note_expired);
    px_loop_add_list(&loop, &list);
    px_deadline_arm(&a, &list, 100);
    px_deadline_arm(&b, &list, 101);
    px_deadline_arm(&c, &list, 101);
    px_deadline_arm(&a, &list, 102); /* again: now the last */
    calls = 0;
    loop.now_ns = 110;
    px_loop_expire(&loop);
    CHECK_INT(calls, 0);
    loop.now_ns = 111;
    px_loop_expire(&loop);
    CHECK_INT(calls, 2);
    CHECK(expired_order[0] == &b && expired_order[1] == &c);
    px_deadline_disarm(&a);
    px_deadline_disarm(&a);
    CHECK(px_deadline_first(&list) == NULL);
    loop.now_ns = 1000;
    px_loop_expire(&loop);
    CHECK_INT(calls, 2);
    px_loop_deinit(&loop);
}

PX_TEST(a_deadline_moves_between_lists)
{
    struct px_deadline_list head, idle;
    struct px_deadline a = {0}, b = {0};
    px_deadline_list_init(&head, 10, note_expired);
    px_deadline_list_init(&idle, 1000, note_expired);
    px_deadline_arm(&a, &idle, 5);
    px_deadline_arm(&b, &idle, 6);
    px_deadline_arm(&a, &head, 7);
    CHECK(px_deadline_first(&head) == &a && px_deadline_first(&idle) == &b);
    CHECK_INT(a.at_ns, 17);
    CHECK_INT(b.at_ns, 1006);
}

PX_TEST(a_poll_ends_when_a_deadline_has_passed)
{
    struct px_loop loop;
    struct px_deadline_list list;
    struct px_deadline a = {0};
    CHECK_OK(px_loop_init(&loop, NULL));
    px_deadline_list_init(&list, 1000, note_expired);
    px_loop_add_list(&loop, &list);
    px_deadline_arm(&a, &list, loop.now_ns);
    calls = 0;
    while (calls == 0) { /* each poll waits at most until the deadline */
        px_loop_poll(&loop, false);
        px_loop_expire(&loop);
    }
    CHECK(expired_order[0] == &a);
    px_loop_deinit(&loop);
}

PX_TEST_MAIN(T(calls_a_source_until_it_has_read_everything) T(descriptor_zero_is_one_like_any_other)
                 T(a_wake_up_ends_the_wait_once) T(a_descriptor_that_cannot_be_watched_is_an_error)
                     T(deadlines_expire_in_order_and_only_when_passed)
                         T(a_deadline_moves_between_lists)
                             T(a_poll_ends_when_a_deadline_has_passed))
