/* fourier.h - discrete Fourier transforms of any length, in double.
 * Threads: one per struct md_fourier. Memory: the caller's, md_fourier_size bytes. */
#ifndef MD_FOURIER_H
#define MD_FOURIER_H

#include <stdbool.h>
#include <stddef.h>

enum { MD_FOURIER_MAX_LENGTH = 1 << 26 };

struct md_fourier {
    size_t length;
    bool inverse;   /* also divides by the length */
    size_t padded;  /* power of two: of the transforms that are really made */
    double *signal; /* length complex numbers (re, im): input, then output */
    double *turns;  /* exp(-2 pi i k / padded), k < padded / 2 */
    double *chirp;  /* Bluestein only: exp(-pi i k^2 / length), k < length */
    double *filter; /* Bluestein only: transform of the conjugate chirp */
    double *work;   /* Bluestein only */
};

/* length in [1, MD_FOURIER_MAX_LENGTH]. */
size_t md_fourier_size(size_t length);
void md_fourier_init(struct md_fourier *fourier, size_t length, bool inverse, void *memory);
/* Replaces fourier->signal by its transform. */
void md_fourier_run(struct md_fourier *fourier);

#endif
