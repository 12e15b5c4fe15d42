/* status.c - see status.h. */
#include "status.h"

#include <stdio.h>
#include <string.h>

void md_error_vset(struct md_error *error, const char *format, va_list arguments)
{
    if (error != NULL)
        (void)vsnprintf(error->message, sizeof error->message, format, arguments); /* cutting is fine */
}

void md_error_set(struct md_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    md_error_vset(error, format, arguments);
    va_end(arguments);
}

void md_error_prefix(struct md_error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    char prefix[MD_ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(prefix, sizeof prefix - 2, format, arguments);
    va_end(arguments);
    if (used < 0)
        return;
    size_t length = strlen(prefix);
    memcpy(prefix + length, ": ", 2);
    length += 2;
    size_t kept = strlen(error->message);
    if (kept > sizeof error->message - 1 - length)
        kept = sizeof error->message - 1 - length;
    memmove(error->message + length, error->message, kept);
    memcpy(error->message, prefix, length);
    error->message[length + kept] = '\0';
}

const char *md_code_name(enum md_code code)
{
    static const char *const names[] = {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
        "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
        "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    };
    unsigned index = (unsigned)code;
    return index < sizeof names / sizeof names[0] ? names[index] : "UNKNOWN";
}
