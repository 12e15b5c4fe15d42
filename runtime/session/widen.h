/* widen.h - whole tensors between half precision and FP32. Private to session/. */
#ifndef MD_WIDEN_H
#define MD_WIDEN_H

struct md_tensor;

/* half: FP16 or BF16; out_float: FP32 of the same count, with memory. */
void md_widen_to_float(const struct md_tensor *half, struct md_tensor *out_float);
/* from: FP32; out_half: FP16 or BF16 of the same count, with memory. Rounds to nearest even. */
void md_round_from_float(const struct md_tensor *from, struct md_tensor *out_half);

#endif
