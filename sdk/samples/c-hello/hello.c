/*
 * The smallest native module, in C, and a check of the header: an RPC that answers its payload, and a
 * match that lets everybody in, answers signals with its number of calls, and ends at "end".
 */
#include "guildhall.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(guildhall_bytes) == 2 * sizeof(void *), "guildhall_bytes has no padding");
_Static_assert(offsetof(guildhall_host, resolve) == 8, "functions follow size and version");
_Static_assert(offsetof(guildhall_module, invoke) == 8, "functions follow size and version");
_Static_assert(sizeof(guildhall_host) == 8 + 9 * sizeof(void *), "the host has nine functions");

static const guildhall_host *host;

enum { ECHO, LATE, COUNTER };

/* A match's functions. Its number is the address of its state. */
static guildhall_code counter(guildhall_call call, const guildhall_input *input) {
    /* The messages MatchInit and JoinAnswer, by hand: each field after its number and type. */
    static const uint8_t allow[] = {1 << 3, 1};
    uint8_t init[32] = {1 << 3, 5, 2 << 3 | 2, 1, 'c', 3 << 3};
    size_t init_len = 6;
    guildhall_bytes error;
    unsigned char *calls = (unsigned char *)(uintptr_t)input->match;
    switch (input->kind) {
    case GUILDHALL_KIND_MATCH_INIT:
        if ((calls = calloc(1, 1)) == NULL) {
            return GUILDHALL_RESOURCE_EXHAUSTED;
        }
        for (uint64_t rest = (uintptr_t)calls; rest != 0; rest >>= 7) {
            init[init_len++] = (uint8_t)((rest & 127) | (rest > 127 ? 128 : 0));
        }
        return host->answer(call, init, init_len);
    case GUILDHALL_KIND_MATCH_RELEASE:
        free(calls);
        return GUILDHALL_OK;
    case GUILDHALL_KIND_MATCH_JOIN_ATTEMPT:
        return host->answer(call, allow, sizeof allow);
    case GUILDHALL_KIND_MATCH_SIGNAL: {
        if (input->payload.len == 3 && memcmp(input->payload.data, "end", 3) == 0) {
            return GUILDHALL_OK;
        }
        guildhall_broadcast broadcast = {sizeof broadcast, 0, 109, input->payload, {0}, {0}};
        guildhall_code code = host->match_broadcast(call, &broadcast, &error);
        if (code != GUILDHALL_OK) {
            host->answer(call, error.data, error.len);
            return code;
        }
        uint8_t digit = (uint8_t)('0' + ++*calls % 10);
        return host->answer(call, &digit, 1);
    }
    default:
        return host->answer(call, allow, 0);
    }
}

static guildhall_code invoke(guildhall_call call, uint32_t function, const guildhall_input *input) {
    static guildhall_call before;
    guildhall_bytes none;
    switch (function) {
    case ECHO:
        return host->answer(call, input->payload.data, input->payload.len);
    case LATE: {
        /* Uses the handle of the call before, which has ended. */
        guildhall_code code = before ? host->call(before, 1, NULL, 0, &none) : GUILDHALL_OK;
        before = call;
        return code;
    }
    case COUNTER:
        return counter(call, input);
    default:
        return GUILDHALL_UNIMPLEMENTED;
    }
}

static guildhall_code enroll(guildhall_call call, guildhall_point point, const char *name,
                             uint32_t function) {
    guildhall_bytes error;
    guildhall_code code =
        host->enroll(call, point, name, strlen(name), function, NULL, 0, &error);
    if (code != GUILDHALL_OK) {
        host->answer(call, error.data, error.len);
    }
    return code;
}

guildhall_code guildhall_module_init(const guildhall_host *server, guildhall_call call,
                                     guildhall_module *module) {
    module->version = GUILDHALL_ABI_VERSION;
    if (server->version != GUILDHALL_ABI_VERSION || server->size < sizeof(*server)) {
        return GUILDHALL_FAILED_PRECONDITION;
    }
    module->size = sizeof(*module);
    module->invoke = invoke;
    host = server;
    guildhall_code code = enroll(call, GUILDHALL_RPC, "c_echo", ECHO);
    if (code == GUILDHALL_OK) {
        code = enroll(call, GUILDHALL_RPC, "c_late", LATE);
    }
    return code == GUILDHALL_OK ? enroll(call, GUILDHALL_MATCH, "c_match", COUNTER) : code;
}
