/*
 * The binary interface between the Guildhall server and a native module.
 *
 * A native module is a shared library (.so) in the runtime path that exports one symbol,
 * `guildhall_module_init`. The server loads every library once, in the order of their paths, calls
 * this symbol once, and never unloads the library. Both sides hand each other a struct of function
 * pointers that starts with its size and the interface's version.
 *
 * Growth: a struct only gains members at its end, which raises its `size`; the version is raised
 * only by a change that breaks modules already built. Read a member only where `size` covers it.
 *
 * Memory: each side frees what it allocated. Bytes that one side hands over are valid until the
 * function they were handed to returns; the receiver copies what it keeps. The one exception is
 * the result of a host function, said there.
 *
 * Threads: the server calls a module from several threads at a time, so module code must be safe
 * for that. A call's handle is good only during that call and on its thread; used elsewhere, host
 * functions answer GUILDHALL_FAILED_PRECONDITION and do nothing.
 *
 * Panics and exceptions must not leave the module: catch them, and answer GUILDHALL_INTERNAL with
 * file and line. A call that does not return cannot be stopped and costs the server a thread.
 *
 * Messages named `guildhall.native.v1.*` are protobuf, declared in sdk/proto/native.proto.
 */
#ifndef GUILDHALL_H
#define GUILDHALL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GUILDHALL_ABI_VERSION 1u

/* A gRPC status code. Others than these 17 reach a client as GUILDHALL_INTERNAL. */
typedef uint32_t guildhall_code;
#define GUILDHALL_OK 0u
#define GUILDHALL_CANCELLED 1u
#define GUILDHALL_UNKNOWN 2u
#define GUILDHALL_INVALID_ARGUMENT 3u
#define GUILDHALL_DEADLINE_EXCEEDED 4u
#define GUILDHALL_NOT_FOUND 5u
#define GUILDHALL_ALREADY_EXISTS 6u
#define GUILDHALL_PERMISSION_DENIED 7u
#define GUILDHALL_RESOURCE_EXHAUSTED 8u
#define GUILDHALL_FAILED_PRECONDITION 9u
#define GUILDHALL_ABORTED 10u
#define GUILDHALL_OUT_OF_RANGE 11u
#define GUILDHALL_UNIMPLEMENTED 12u
#define GUILDHALL_INTERNAL 13u
#define GUILDHALL_UNAVAILABLE 14u
#define GUILDHALL_DATA_LOSS 15u
#define GUILDHALL_UNAUTHENTICATED 16u

/*
 * Bytes of the other side. `data` is NULL where there is nothing at all, which differs from
 * `len` 0; where it is not NULL it is a real address, also for `len` 0.
 */
typedef struct guildhall_bytes {
    const uint8_t *data;
    size_t len;
} guildhall_bytes;

/* The handle of a call in progress. 0 is none. */
typedef uint64_t guildhall_call;

/* The levels of the server's log. */
typedef uint32_t guildhall_level;
#define GUILDHALL_DEBUG 0u
#define GUILDHALL_INFO 1u
#define GUILDHALL_WARN 2u
#define GUILDHALL_ERROR 3u

/*
 * What a module registers for. A name is needed where one is given in brackets; case does not
 * count in RPC ids and API names. Of those marked with a star only the last registration counts.
 */
typedef uint32_t guildhall_point;
#define GUILDHALL_RPC 1u                  /* [RPC id] */
#define GUILDHALL_BEFORE 2u               /* [API name, e.g. AuthenticateEmail] */
#define GUILDHALL_AFTER 3u                /* [API name] */
#define GUILDHALL_REALTIME_BEFORE 4u      /* [message name, e.g. ChannelJoin] */
#define GUILDHALL_REALTIME_AFTER 5u       /* [message name] */
#define GUILDHALL_MATCH 6u                /* [match name] */
#define GUILDHALL_MATCHMAKER_MATCHED 7u   /* * */
#define GUILDHALL_MATCHMAKER_OVERRIDE 8u  /* * */
#define GUILDHALL_MATCHMAKER_PROCESSOR 9u /* * */
#define GUILDHALL_TOURNAMENT_END 10u      /* * */
#define GUILDHALL_TOURNAMENT_RESET 11u    /* * */
#define GUILDHALL_LEADERBOARD_RESET 12u   /* * */
#define GUILDHALL_STORAGE_INDEX 13u       /* [index name], with a definition; no function */
#define GUILDHALL_STORAGE_INDEX_FILTER 14u /* [index name] */
#define GUILDHALL_PURCHASE_NOTIFICATION_APPLE 15u      /* * */
#define GUILDHALL_SUBSCRIPTION_NOTIFICATION_APPLE 16u  /* * */
#define GUILDHALL_PURCHASE_NOTIFICATION_GOOGLE 17u     /* * */
#define GUILDHALL_SUBSCRIPTION_NOTIFICATION_GOOGLE 18u /* * */
#define GUILDHALL_EVENT 19u
#define GUILDHALL_EVENT_SESSION_START 20u
#define GUILDHALL_EVENT_SESSION_END 21u
#define GUILDHALL_SHUTDOWN 22u            /* * */

/* What the server offers. Valid, with everything in it, until the process ends. */
typedef struct guildhall_host {
    /* The size of this struct in bytes, as the server knows it. */
    uint32_t size;
    /* GUILDHALL_ABI_VERSION of the server. */
    uint32_t version;

    /*
     * The id of a host function by its name ("storage_write"; "StorageWrite" is the same), or 0
     * for one that does not exist. An id stays the same until the process ends: look it up once.
     */
    uint32_t (*resolve)(const char *name, size_t name_len);

    /*
     * Calls a host function. `arguments` is guildhall.native.v1.Arguments. `result` receives a
     * guildhall.native.v1.Value, or the error's text where the code is not GUILDHALL_OK; its bytes
     * are the server's and stay valid until the next use of `host` with this handle, or the end of
     * the call, whichever comes first.
     */
    guildhall_code (*call)(guildhall_call call, uint32_t function, const uint8_t *arguments,
                           size_t arguments_len, guildhall_bytes *result);

    /*
     * The context of a call, guildhall.native.v1.Context. The bytes stay valid until the end of
     * the call. {NULL, 0} where the handle is not that of a call in progress on this thread.
     */
    guildhall_bytes (*context)(guildhall_call call);

    /*
     * Gives the answer of a call, or the text of its error, before `invoke` (or the module's
     * initialisation) returns; the server copies it. The last one counts. A call without an answer
     * gave nothing back: an RPC answers an empty payload, a before hook disables the request.
     */
    guildhall_code (*answer)(guildhall_call call, const uint8_t *data, size_t len);

    /*
     * Writes to the server's log. `fields` is guildhall.native.v1.Map or NULL. With a handle that
     * is not that of a call in progress on this thread (0), the line lacks the call's ids; a
     * module's own threads log like this.
     */
    void (*log)(guildhall_call call, guildhall_level level, const uint8_t *text, size_t text_len,
                const uint8_t *fields, size_t fields_len);

    /*
     * Registers a function of the module, during its initialisation only. `function` is a number
     * of the module's choice that `invoke` gets back. `definition` is JSON for points that carry
     * data (a storage index), else NULL. Not GUILDHALL_OK: `error` receives the reason, valid as
     * the result of `call` is.
     */
    guildhall_code (*enroll)(guildhall_call call, guildhall_point point, const char *name,
                             size_t name_len, uint32_t function, const char *definition,
                             size_t definition_len, guildhall_bytes *error);
} guildhall_host;

/* What a function is called for: how to read its input. */
typedef uint32_t guildhall_kind;
#define GUILDHALL_KIND_RPC 1u    /* payload: as the client sent it. Answer: any bytes. */
#define GUILDHALL_KIND_BEFORE 2u /* payload: the request. Answer: the request to go on with. */
#define GUILDHALL_KIND_AFTER 3u  /* payload: the response; request: the request. No answer. */
#define GUILDHALL_KIND_EVENT 4u  /* payload: nakama.api.Event. No answer. */
/* payload: guildhall.native.v1.Arguments, the values by position: a leaderboard that was reset, an
 * object that is to be indexed. Answer: guildhall.native.v1.Value, where one is expected. */
#define GUILDHALL_KIND_PLAIN 5u

/*
 * What a function is called with. Requests and responses are the binary form of the API's protobuf
 * message; {NULL, 0} for an API call without input.
 */
typedef struct guildhall_input {
    /* The size of this struct in bytes, as the server knows it. */
    uint32_t size;
    guildhall_kind kind;
    guildhall_bytes payload;
    guildhall_bytes request;
} guildhall_input;

/* What a module offers, filled in by its initialisation. */
typedef struct guildhall_module {
    /* In: the size of this struct as the server knows it. Out: as the module knows it. */
    uint32_t size;
    /* Out: GUILDHALL_ABI_VERSION that the module was built with. Set it before all else. */
    uint32_t version;

    /*
     * Runs a registered function. The code says how it ended; `host->answer` carries what it gave
     * back, or the error's text.
     */
    guildhall_code (*invoke)(guildhall_call call, uint32_t function, const guildhall_input *input);
} guildhall_module;

/*
 * The module's entry, `guildhall_module_init`. It compares `host->version` with its own, fills in
 * `module`, and registers its functions; host functions work. Not GUILDHALL_OK: the server does
 * not start, and shows the text given to `host->answer`.
 */
typedef guildhall_code (*guildhall_module_init_fn)(const guildhall_host *host, guildhall_call call,
                                                   guildhall_module *module);

#ifdef __cplusplus
}
#endif

#endif
