/* Answers its payload. Refuses a server that has less than its header knows. */
#include <stddef.h>

_Static_assert(sizeof(guildhall_host) == 8 + 6 * sizeof(void *), "the first host has six functions");

static const guildhall_host *host;

static guildhall_code invoke(guildhall_call call, uint32_t function, const guildhall_input *input) {
    (void)function;
    return input->size < sizeof(*input)
               ? GUILDHALL_INTERNAL
               : host->answer(call, input->payload.data, input->payload.len);
}

guildhall_code guildhall_module_init(const guildhall_host *server, guildhall_call call,
                                     guildhall_module *module) {
    guildhall_bytes error;
    module->version = GUILDHALL_ABI_VERSION;
    if (server->version != GUILDHALL_ABI_VERSION || server->size < sizeof(*server)) {
        return GUILDHALL_FAILED_PRECONDITION;
    }
    module->size = sizeof(*module);
    module->invoke = invoke;
    host = server;
    return host->enroll(call, GUILDHALL_RPC, "first_echo", 10, 0, NULL, 0, &error);
}
