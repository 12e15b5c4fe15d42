/* utf8.h - the one check that bytes are UTF-8 (RFC 3629: no surrogates, no overlong forms). */
#ifndef MD_UTF8_H
#define MD_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Returns size if all bytes are valid UTF-8, else the offset of the first byte that is not. */
size_t md_utf8_valid_prefix(const char *bytes, size_t size);

#endif
