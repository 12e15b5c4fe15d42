/* status.h - how every function of modeld says whether it worked.
 *
 * Codes have the numbers of gRPC status codes, so the RPC edge never translates. The message lives in
 * the caller's stack memory: it works when memory is gone and is safe across threads.
 * `error` may always be NULL; its message is meaningful only after a code other than MD_OK.
 * A message names the object and both numbers: what was found and what was expected. */
#ifndef MD_STATUS_H
#define MD_STATUS_H

#include <stdarg.h>

#if defined(__GNUC__)
#define MD_NODISCARD                   __attribute__((warn_unused_result))
#define MD_PRINTF(text, first)         __attribute__((format(printf, text, first)))
#define MD_UNUSED                      __attribute__((unused))
#else
#define MD_NODISCARD
#define MD_PRINTF(text, first)
#define MD_UNUSED
#endif

/* Values: google.rpc.Code. */
enum md_code {
    MD_OK = 0,
    MD_CANCELLED = 1,
    MD_UNKNOWN = 2,
    MD_INVALID_ARGUMENT = 3,
    MD_DEADLINE_EXCEEDED = 4,
    MD_NOT_FOUND = 5,
    MD_ALREADY_EXISTS = 6,
    MD_PERMISSION_DENIED = 7,
    MD_RESOURCE_EXHAUSTED = 8,
    MD_FAILED_PRECONDITION = 9,
    MD_ABORTED = 10,
    MD_OUT_OF_RANGE = 11,
    MD_UNIMPLEMENTED = 12,
    MD_INTERNAL = 13,
    MD_UNAVAILABLE = 14,
    MD_DATA_LOSS = 15,
    MD_UNAUTHENTICATED = 16
};

enum { MD_ERROR_MESSAGE_SIZE = 512 };

struct md_error {
    char message[MD_ERROR_MESSAGE_SIZE]; /* NUL-terminated; cut at the size */
};

/* The formatted message into *error (if not NULL). */
MD_PRINTF(2, 3) void md_error_set(struct md_error *error, const char *format, ...);
MD_PRINTF(2, 0) void md_error_vset(struct md_error *error, const char *format, va_list arguments);
/* Puts "prefix: " before the message that is already in *error. */
MD_PRINTF(2, 3) void md_error_prefix(struct md_error *error, const char *format, ...);

/* `return md_fail(error, code, "format", ...);` writes the message and is the code. Macros, so that the compiler sees
 * that a failure never looks like MD_OK. */
#define md_fail(error, code, ...)        (md_error_set((error), __VA_ARGS__), (enum md_code)(code))
#define md_vfail(error, code, format, arguments) (md_error_vset((error), (format), (arguments)), (enum md_code)(code))
#define md_fail_prefix(error, code, ...) (md_error_prefix((error), __VA_ARGS__), (enum md_code)(code))
/* MD_RESOURCE_EXHAUSTED, "out of memory: WHAT". */
#define md_fail_memory(error, what)      md_fail((error), MD_RESOURCE_EXHAUSTED, "out of memory: %s", (what))

/* "INVALID_ARGUMENT" for MD_INVALID_ARGUMENT, ...; "UNKNOWN" for a number that is no code. Static. */
const char *md_code_name(enum md_code code);

/* Returns from the function unless the call is MD_OK. Only where the function holds nothing. */
#define MD_TRY(call)                                                                                         \
    do {                                                                                                     \
        enum md_code code_ = (call);                                                                         \
        if (code_ != MD_OK)                                                                                  \
            return code_;                                                                                    \
    } while (0)

#endif
