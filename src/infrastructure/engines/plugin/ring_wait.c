/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spin, then sleep. A call of a small model takes a few microseconds, a wake-up through the kernel tens of them; so each side looks at
 * the word for a while first. `sleeper` spares the other side the system call when nobody sleeps: both sides write their own
 * word before they read the other's, in one total order, so at least one of them sees the other.
 */
#include "infrastructure/engines/plugin/ring.h"

#include "shared/clock.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOOKS_PER_CLOCK = 32, PATIENCE_LEAST_NS = 500, TRY_AGAIN_AFTER = 64 };

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool changed(_Atomic uint32_t *word, uint32_t old)
{
    return atomic_load_explicit(word, memory_order_acquire) != old;
}

static bool spin(_Atomic uint32_t *word, uint32_t old, uint64_t spin_ns)
{
    uint64_t end = px_clock_monotonic_ns() + spin_ns;
    do {
        for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (changed(word, old))
                return true;
            relax();
        }
    } while (px_clock_monotonic_ns() < end);
    return false;
}

struct px_ring_patience px_ring_patience(uint32_t most_us)
{
    uint64_t most_ns = most_us * PX_NS_PER_US;
    return (struct px_ring_patience){.most_ns = most_ns, .now_ns = most_ns};
}

/* Looks as long as that has been worth it lately. */
static bool look(_Atomic uint32_t *word, uint32_t old, struct px_ring_patience *p)
{
    if (p->now_ns < PATIENCE_LEAST_NS) {
        if (++p->n_without < TRY_AGAIN_AFTER)
            return false;
        p->n_without = 0;
        p->now_ns = p->most_ns / 4;
    }
    bool found = p->now_ns && spin(word, old, p->now_ns);
    p->now_ns = found ? p->now_ns * 2 : p->now_ns / 2;
    if (p->now_ns > p->most_ns)
        p->now_ns = p->most_ns;
    return found;
}

bool px_ring_wait(_Atomic uint32_t *word, _Atomic uint32_t *sleeper, uint32_t old,
                  struct px_ring_patience *patience, uint64_t sleep_ns)
{
    if (changed(word, old) || (patience && look(word, old, patience)))
        return true;
    struct timespec time = {(time_t)(sleep_ns / PX_NS_PER_S), (long)(sleep_ns % PX_NS_PER_S)};
    atomic_store(sleeper, 1);
    if (!changed(word, old))
        syscall(SYS_futex, word, FUTEX_WAIT, old, &time, NULL, 0);
    atomic_store(sleeper, 0);
    return changed(word, old);
}

void px_ring_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void px_ring_post(_Atomic uint32_t *word, _Atomic uint32_t *sleeper, uint32_t value)
{
    atomic_store(word, value);
    if (atomic_load(sleeper))
        px_ring_wake(word);
}
