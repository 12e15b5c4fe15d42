/* signature.h - a version's inputs and outputs as the wire and the registry have them.
 *
 * The registry keeps them as JSON, so that a version that is not loaded can be described as well:
 * {"inputs":[{"name":"ids","datatype":"INT64","shape":[-1,64]}],"outputs":[...]}. What is not a tensor (a
 * sequence) has the datatype "SEQUENCE" and no shape. Threads: any; the arena is the caller's. */
#ifndef MD_SIGNATURE_H
#define MD_SIGNATURE_H

#include "arena.h"
#include "status.h"

#include <modeld/v1/modeld.pb-c.h>
#include <stddef.h>

struct md_session;

/* Both lists of a loaded session. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_signature_of_session(const struct md_session *session, struct md_arena *arena,
                                                  Modeld__V1__ModelVersion *out_version,
                                                  struct md_error *error);

/* JSON of the inputs and outputs in `version`; NULL when there is no memory. */
const char *md_signature_to_json(const Modeld__V1__ModelVersion *version, struct md_arena *arena);

/* Fills inputs and outputs from JSON; "" gives none. INTERNAL: the registry holds something else.
 * RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_signature_from_json(const char *json, struct md_arena *arena,
                                                 Modeld__V1__ModelVersion *out_version,
                                                 struct md_error *error);

#endif
