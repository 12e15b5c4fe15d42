/* version_text.h - the text of a model version on the wire and in options. */
#ifndef MD_VERSION_TEXT_H
#define MD_VERSION_TEXT_H

#include "status.h"

#include <stdint.h>

/* "" is 0 (the highest READY one); else a whole number from 1 to 2^63-1 without leading zeroes.
 * INVALID_ARGUMENT: anything else. */
MD_NODISCARD enum md_code md_version_parse(const char *text, uint64_t *out_version, struct md_error *error);

#endif
