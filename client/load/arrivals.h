/* arrivals.h - when the requests of an open loop are due, and the random numbers of the generator.
 *
 * Evenly spaced or a Poisson process; the same seed gives the same times. One thread at a time. */
#ifndef MD_ARRIVALS_H
#define MD_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

/* splitmix64: the next number of a state that may be any number. */
uint64_t md_random_next(uint64_t *state);
/* least to most, both included; least <= most. */
int64_t md_random_between(uint64_t *state, int64_t least, int64_t most);
/* Above 0, at most 1. */
double md_random_unit(uint64_t *state);

struct md_arrivals {
    double interval_ns; /* the mean */
    double next_ns;
    uint64_t state;
    bool is_poisson;
};

/* per_second > 0. */
void md_arrivals_init(struct md_arrivals *arrivals, double per_second, bool is_poisson, uint64_t seed);
/* Nanoseconds from the start to the next request; never decreases. */
uint64_t md_arrivals_next(struct md_arrivals *arrivals);

#endif
