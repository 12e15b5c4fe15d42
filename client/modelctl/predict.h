/* predict.h - the two halves of `modelctl predict`: texts (predict.c) and tensors (predict_tensors.c). */
#ifndef MD_CTL_PREDICT_H
#define MD_CTL_PREDICT_H

#include "command.h"

/* Runs with every --input. Returns the exit code. */
int md_ctl_predict_tensors(struct md_ctl_context *context, const struct md_ctl_arguments *arguments,
                           const struct md_ctl_model *model);

/* {"queue_us":..., "tokenize_us":..., "compute_us":..., "total_us":..., "round_trip_us":...} */
json_t *md_ctl_json_timings(const struct md_client_prediction *prediction);
/* "model sentiment-lstm  version 1  tokens 4  queue 2 us ...", one line. */
void md_ctl_print_timings(struct md_ctl_context *context, const struct md_client_prediction *prediction);

#endif
