/* operator_table.h - what every family file needs to write its table. */
#ifndef MD_OPERATOR_TABLE_H
#define MD_OPERATOR_TABLE_H

#include "operator.h"

/* The last opset whose definitions were read: a row that ends here is the newest. A model that imports a later opset
 * is refused with UNIMPLEMENTED, not guessed. */
enum { MD_OPSET_NEWEST = 23, MD_OPSET_MICROSOFT = 1, MD_OPSET_ML_NEWEST = 5 };

#endif
