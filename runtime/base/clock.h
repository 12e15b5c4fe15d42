/* clock.h - the two clocks. Monotonic for durations and deadlines, wall clock for what people read. */
#ifndef MD_CLOCK_H
#define MD_CLOCK_H

#include <stdint.h>

int64_t md_clock_us(void);      /* monotonic, microseconds; the clock of md_condition_wait */
int64_t md_clock_wall_us(void); /* since 1970-01-01 UTC, microseconds */

#endif
