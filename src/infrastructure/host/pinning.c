/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/host/pinning.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static enum px_code refuse_list(struct px_str text, struct px_err *err)
{
    px_err_set(err, PX_E_INVALID, "server.pin: expected off, cores or a list of cores, got '%.*s'",
               PX_STR_ARG(text));
    return px_err_hint(err, "cores are listed as 0-3,8");
}

static enum px_code add_core(struct px_pinning *pinning, const cpu_set_t *allowed, uint64_t core,
                             struct px_err *err)
{
    if (core >= PX_PINNING_CORES_MAX || !CPU_ISSET((size_t)core, allowed)) {
        px_err_set(err, PX_E_INVALID, "server.pin: this process may not run on core %llu",
                   (unsigned long long)core);
        return px_err_hint(err, "'taskset -p PID' shows the cores that it may use; in a container "
                                "they are set by its cpuset");
    }
    for (unsigned i = 0; i < pinning->n_cores; i++) {
        if (pinning->cores[i] == core)
            return px_err_set(err, PX_E_INVALID, "server.pin: core %llu is listed twice",
                              (unsigned long long)core);
    }
    pinning->cores[pinning->n_cores++] = (unsigned short)core;
    return PX_OK;
}

/* "8" or "0-3" */
static enum px_code add_range(struct px_pinning *pinning, const cpu_set_t *allowed,
                              struct px_str part, struct px_err *err)
{
    uint64_t first, last;
    struct px_str high = part, low = px_str_cut(&high, '-');
    if (!px_str_to_u64(px_str_trim(low), &first))
        return refuse_list(part, err);
    last = first;
    if (high.ptr && (!px_str_to_u64(px_str_trim(high), &last) || last < first))
        return refuse_list(part, err);
    enum px_code code = PX_OK;
    for (uint64_t core = first; code == PX_OK && core <= last; core++)
        code = add_core(pinning, allowed, core, err);
    return code;
}

static enum px_code read_pin(struct px_pinning *pinning, struct px_str pin, struct px_err *err)
{
    cpu_set_t allowed;
    if (px_str_is(pin, "off"))
        return PX_OK;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "server.pin: the system does not tell its cores: %s", strerror(errno));
    if (px_str_is(pin, "cores")) {
        for (unsigned i = 0; i < PX_PINNING_CORES_MAX; i++) {
            if (CPU_ISSET(i, &allowed))
                pinning->cores[pinning->n_cores++] = (unsigned short)i;
        }
        return PX_OK;
    }
    enum px_code code = PX_OK;
    while (code == PX_OK && pin.ptr)
        code = add_range(pinning, &allowed, px_str_trim(px_str_cut(&pin, ',')), err);
    return code;
}

/* The policy that holds when none is set; asking for it tells whether the kernel has policies, and lets them be changed. */
static enum px_code check_policies(struct px_err *err)
{
    if (syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0ul) == 0)
        return PX_OK;
    px_err_set(err, PX_E_UNSUPPORTED, "server.numa: the kernel refuses policies of memory: %s",
               strerror(errno));
    return px_err_hint(
        err, errno == EPERM ? "a container's seccomp profile may forbid set_mempolicy; allow it, "
                              "or set server.numa: off"
                            : "set server.numa: off");
}

enum px_code px_pinning_init(struct px_pinning *pinning, struct px_str pin, struct px_str numa,
                             struct px_err *err)
{
    *pinning = (struct px_pinning){.prefers_local = px_str_is(numa, "local")};
    enum px_code code = read_pin(pinning, pin, err);
    return code == PX_OK && pinning->prefers_local ? check_policies(err) : code;
}

enum px_code px_pinning_apply(const struct px_pinning *pinning, unsigned loop, struct px_err *err)
{
    if (pinning->n_cores) {
        cpu_set_t one;
        unsigned core = pinning->cores[loop % pinning->n_cores];
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0)
            return px_err_set(err, PX_E_IO, "bind loop %u to core %u: %s", loop, core,
                              strerror(errno));
    }
    /* Preferred without a node means the node of the core that asks. */
    if (pinning->prefers_local && syscall(SYS_set_mempolicy, MPOL_PREFERRED, NULL, 0ul) != 0)
        return px_err_set(err, PX_E_IO, "prefer memory of the own node on loop %u: %s", loop,
                          strerror(errno));
    return PX_OK;
}
