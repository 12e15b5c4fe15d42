/* inference_batch.h - requests of one version run together: what the scheduler calls when their turn has come.
 *
 * Texts: their rows are cut into batches by length, whoever sent them (md_task_run).
 * Tensors: inputs are joined along dimension 0, outputs cut again, when the model leaves that dimension free in every
 * input and output. Whether its rows are independent no file says, so it is proved: the first times the requests are run
 * alone, too, and their own bits must be those of the batch. A version that gives others never joins requests again.
 * Threads: on the thread of the request that leads the batch; the others are blocked, so their arenas may be used. */
#ifndef MD_INFERENCE_BATCH_H
#define MD_INFERENCE_BATCH_H

#include "inference.h"

/* Works that may go with this one have the same number; 0: goes alone. After inputs, outputs or texts are set. */
uint64_t md_inference_company(const struct md_inference *inference);

/* For md_scheduler_options; works are those of struct md_inference. */
void md_inference_run_batch(struct md_batch_work *const *works, size_t count);

#endif
