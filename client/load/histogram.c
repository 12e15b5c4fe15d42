/* histogram.c - see histogram.h. Values below one octave's buckets have a bucket each. */
#include "histogram.h"

#include <math.h>

size_t md_histogram_bucket(uint64_t value)
{
    if (value < MD_HISTOGRAM_OCTAVE)
        return (size_t)value;
    unsigned shift = 57u - (unsigned)__builtin_clzll(value); /* leaves 64 to 127 */
    return (size_t)shift * MD_HISTOGRAM_OCTAVE + (size_t)(value >> shift);
}

uint64_t md_histogram_bucket_end(size_t bucket)
{
    if (bucket < 2 * MD_HISTOGRAM_OCTAVE)
        return bucket;
    unsigned shift = (unsigned)(bucket / MD_HISTOGRAM_OCTAVE) - 1;
    uint64_t begin = (uint64_t)(bucket % MD_HISTOGRAM_OCTAVE + MD_HISTOGRAM_OCTAVE) << shift;
    return begin + ((uint64_t)1 << shift) - 1;
}

void md_histogram_add(struct md_histogram *histogram, uint64_t value)
{
    histogram->counts[md_histogram_bucket(value)]++;
    histogram->count++;
    histogram->sum += (double)value;
    if (value > histogram->most)
        histogram->most = value;
}

uint64_t md_histogram_percentile(const struct md_histogram *histogram, double percent)
{
    uint64_t wanted = (uint64_t)ceil((double)histogram->count * percent / 100.0), seen = 0;
    if (wanted == 0)
        wanted = 1;
    for (size_t i = 0; i < MD_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted) {
            uint64_t end = md_histogram_bucket_end(i);
            return end < histogram->most ? end : histogram->most;
        }
    }
    return histogram->most;
}

double md_histogram_mean(const struct md_histogram *histogram)
{
    return histogram->count > 0 ? histogram->sum / (double)histogram->count : 0.0;
}
