/* The smallest native module, in C, and a check of the header: one RPC that answers its payload. */
#include "guildhall.h"

#include <string.h>

_Static_assert(sizeof(guildhall_bytes) == 2 * sizeof(void *), "guildhall_bytes has no padding");
_Static_assert(offsetof(guildhall_host, resolve) == 8, "functions follow size and version");
_Static_assert(offsetof(guildhall_module, invoke) == 8, "functions follow size and version");
_Static_assert(sizeof(guildhall_host) == 8 + 6 * sizeof(void *), "the host has six functions");

static const guildhall_host *host;

enum { ECHO, LATE };

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
    default:
        return GUILDHALL_UNIMPLEMENTED;
    }
}

static guildhall_code enroll(guildhall_call call, const char *id, uint32_t function) {
    guildhall_bytes error;
    guildhall_code code =
        host->enroll(call, GUILDHALL_RPC, id, strlen(id), function, NULL, 0, &error);
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
    guildhall_code code = enroll(call, "c_echo", ECHO);
    return code == GUILDHALL_OK ? enroll(call, "c_late", LATE) : code;
}
