/* histogram.h - how often which latency occurred, in fixed logarithmic buckets.
 *
 * 64 buckets an octave, so a percentile is at most 1.6 % too high, over the whole range of uint64_t.
 * Threads: none of its own; one thread at a time. Memory: the caller's, zero is an empty histogram. */
#ifndef MD_HISTOGRAM_H
#define MD_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { MD_HISTOGRAM_OCTAVE = 64, MD_HISTOGRAM_BUCKETS = 59 * MD_HISTOGRAM_OCTAVE };

struct md_histogram {
    uint64_t counts[MD_HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t most; /* the largest value, exactly */
    double sum;
};

void md_histogram_add(struct md_histogram *histogram, uint64_t value);

/* The bucket of a value, and the largest value of a bucket. */
size_t md_histogram_bucket(uint64_t value);
uint64_t md_histogram_bucket_end(size_t bucket);

/* The smallest bucket's end that at least `percent` of the values do not exceed, never above the largest value.
 * 0 for an empty histogram. percent: 0 to 100. */
uint64_t md_histogram_percentile(const struct md_histogram *histogram, double percent);
double md_histogram_mean(const struct md_histogram *histogram); /* 0 for an empty one */

#endif
