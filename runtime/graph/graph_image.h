/* graph_image.h - the graph of a model as a record of our own, as passes have left it: what ONNX cannot say (nodes of the
 * internal domain, the opset of each node, constants without elements) is in it.
 *
 * Large elements are not in the record but in a place that the caller offers. Reading checks all that importing an ONNX
 * file would have made sure of: that indices exist, that a value is made once and before it is read, and that elements
 * are legal for their type. */
#ifndef MD_GRAPH_IMAGE_H
#define MD_GRAPH_IMAGE_H

#include "byte_stream.h"
#include "graph.h"

/* Where large elements are. Offsets are multiples of MD_ALIGNMENT. */
struct md_image_place {
    struct md_span content; /* reading: all of it, aligned to MD_ALIGNMENT */
    /* Writing: keeps `bytes` in mind, which stay where they are. False: no more can be kept. */
    bool (*add)(struct md_image_place *place, const void *bytes, size_t size, size_t *out_offset);
};

/* Reads or writes model->graph, opsets, producer and sizes; reading fills a model whose arena is the stream's. What is
 * wrong shows in md_byte_stream_ok. Writing changes nothing of the model. */
void md_graph_image(struct md_byte_stream *stream, struct md_image_place *place, struct md_model *model);

#endif
