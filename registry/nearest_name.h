/* nearest_name.h - "did you mean ...?" for names that people type. No state, no memory; any thread. */
#ifndef MD_NEAREST_NAME_H
#define MD_NEAREST_NAME_H

#include <stddef.h>

enum { MD_NEAREST_NAME_LIMIT = 128 }; /* longer names are never near */

/* The candidate that `name` is most likely a slip of, or NULL when none is near enough to be worth saying.
 * Case does not count; otherwise the measure is the number of letters to insert, delete, replace or swap with
 * their neighbour, and about a quarter of the name may be wrong. Of equals the first wins; a candidate equal
 * to `name` is near. The result is borrowed: one of `candidates`. */
const char *md_nearest_name(const char *name, const char *const *candidates, size_t count);

#endif
