/* rotary.h - rotary position embedding: pairs of a head vector are turned by an angle that grows with the
 * position. */
#ifndef MD_ROTARY_H
#define MD_ROTARY_H

#include <stdbool.h>
#include <stddef.h>

/* Turns the first 2 * half elements of a head and copies the other size - 2 * half. cosines and sines have
 * `half` elements. Interleaved: pairs are neighbours; else element i pairs with element i + half. in and out
 * may be the same. */
void md_rotate_head(bool interleaved, size_t size, size_t half, const float *cosines, const float *sines,
                    const float *in, float *out);

#endif
