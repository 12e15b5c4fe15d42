/* version_text.c - see version_text.h. */
#include "version_text.h"

enum md_code md_version_parse(const char *text, uint64_t *out_version, struct md_error *error)
{
    uint64_t version = 0;
    if (*text == '\0') {
        *out_version = 0;
        return MD_OK;
    }
    if (*text == '0')
        return md_fail(error, MD_INVALID_ARGUMENT, "version \"%.40s\" is not a whole number from 1", text);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return md_fail(error, MD_INVALID_ARGUMENT, "version \"%.40s\" is not a whole number from 1",
                           text);
        version = version * 10 + (uint64_t)(*at - '0');
        if (version > INT64_MAX || at - text >= 19)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "version \"%.40s\" is above the limit 9223372036854775807", text);
    }
    *out_version = version;
    return MD_OK;
}
