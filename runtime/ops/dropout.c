/* dropout.c - Dropout as inference sees it: output 0 is the input itself, the mask keeps everything.
 *
 * A server does not train: the attribute is_test of opsets 1 and 6 is taken as set, and training_mode (opset 12) is
 * refused unless the ratio is 0, when it drops nothing. */
#include "elementwise.h"
#include "float_code.h"
#include "operator_table.h"

static enum md_code dropout_prepare(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0), *ratio = md_input(invocation, 1),
                           *training = md_input(invocation, 2);
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_FLOAT | MD_TYPES_FP8));
    MD_TRY(md_expect_datatype(invocation, 2, MD_TYPE(MD_BOOL)));
    if (training != NULL && training->count > 0 && md_tensor_int(training, 0) != 0) {
        double value = 0.5;
        if (ratio != NULL && ratio->count > 0)
            md_read_reals(ratio->datatype, 1, ratio->bytes, 1, &value);
        if (value != 0)
            return md_fail(invocation->error, MD_UNIMPLEMENTED, "training mode with ratio %g", value);
    }
    enum md_datatype mask = invocation->opset < 10 ? input->datatype : MD_BOOL;
    MD_TRY(md_output(invocation, 1, mask, &input->shape));
    return md_output_view(invocation, 0, 0, input->datatype, &input->shape, 0);
}

static enum md_code dropout_run(struct md_invocation *invocation)
{
    struct md_tensor *mask = md_output_tensor(invocation, 1);
    if (mask == NULL || mask->count == 0)
        return MD_OK;
    if (mask->datatype == MD_BOOL)
        memset(mask->bytes, 1, mask->count);
    else
        for (size_t i = 0; i < mask->count; i++)
            md_tensor_set_double(mask, i, 1);
    return MD_OK;
}

const struct md_operator md_operators_dropout[] = {
    { MD_ONNX, "Dropout", 1, 9, 1, 1, 1, 2, MD_TYPES_FLOAT, 0, 0, NULL, dropout_prepare, dropout_run },
    { MD_ONNX, "Dropout", 10, 11, 1, 1, 1, 2, MD_TYPES_FLOAT, 0, 0, NULL, dropout_prepare, dropout_run },
    { MD_ONNX, "Dropout", 12, MD_OPSET_NEWEST, 1, 3, 1, 2, MD_TYPES_FLOAT | MD_TYPES_FP8, 0, 0, NULL, dropout_prepare,
      dropout_run },
    { 0 },
};
