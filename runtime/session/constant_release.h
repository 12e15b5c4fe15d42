/* constant_release.h - lets go of the elements of constants that no step reads: those of which only a packed form is
 * needed, and those that passes have put something else for.
 *
 * Pages of the model's file mappings without a needed element go back to the system, and so do constants that have a
 * block of the arena to themselves. Private to session/. */
#ifndef MD_CONSTANT_RELEASE_H
#define MD_CONSTANT_RELEASE_H

#include "program.h"

/* Afterwards a constant whose elements are gone has bytes NULL; datatype, shape and count stay. model->released_bytes
 * says how much of the mappings went. RESOURCE_EXHAUSTED: memory; then nothing was released. */
MD_NODISCARD enum md_code md_constants_release(struct md_model *model, const struct md_program *program,
                                               struct md_error *error);

#endif
