/* arrivals.c - see arrivals.h. */
#include "arrivals.h"

#include <math.h>

uint64_t md_random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int64_t md_random_between(uint64_t *state, int64_t least, int64_t most)
{
    uint64_t span = (uint64_t)most - (uint64_t)least + 1; /* 0: every number */
    uint64_t number = md_random_next(state);
    return (int64_t)((uint64_t)least + (span == 0 ? number : number % span));
}

double md_random_unit(uint64_t *state)
{
    return ((double)(md_random_next(state) >> 11) + 1) * 0x1p-53;
}

void md_arrivals_init(struct md_arrivals *arrivals, double per_second, bool is_poisson, uint64_t seed)
{
    *arrivals = (struct md_arrivals){ .interval_ns = 1e9 / per_second, .state = seed, .is_poisson = is_poisson };
}

uint64_t md_arrivals_next(struct md_arrivals *arrivals)
{
    double now_ns = arrivals->next_ns;
    double gap = arrivals->is_poisson ? -log(md_random_unit(&arrivals->state)) : 1.0;
    arrivals->next_ns += gap * arrivals->interval_ns;
    return now_ns < 1e18 ? (uint64_t)now_ns : (uint64_t)1e18;
}
