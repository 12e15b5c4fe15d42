/* generic.h - slots for the calls whose method is not registered: streams, and methods that do not exist, which
 * are answered UNIMPLEMENTED (without these slots such a call would hang until its deadline). */
#ifndef MD_GENERIC_H
#define MD_GENERIC_H

#include "status.h"

struct md_server;

/* Posts a slot; it frees itself when the server shuts down. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_generic_post_slot(struct md_server *server, struct md_error *error);

#endif
