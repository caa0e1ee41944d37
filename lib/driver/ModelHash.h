/// What a model is, in 128 bits: ties calibration statistics to it.
#ifndef SQ_LIB_DRIVER_MODELHASH_H
#define SQ_LIB_DRIVER_MODELHASH_H

#include "mlir/IR/BuiltinOps.h"

#include "lib/calibration/StatsFile.h"

namespace sq {

/// Of a module as it was imported (loadModel), before any pass and --shape: its operators, attributes,
/// types, names of nodes, and weights. Where the files lie and how they are called does not matter,
/// nor whether weights are inside of the file. Of a weight of more than a MiB the size and 64 evenly
/// spread pages count: weights that were trained on differ in these, and a model of any size is
/// hashed in milliseconds without being read.
calibration::ModelHash hashModel(mlir::ModuleOp module);

} // namespace sq

#endif
