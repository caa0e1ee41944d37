/// onnx's shape inference with guards: some of its functions trust attributes and sizes that
/// `checkStructure` cannot judge, as they depend on shapes that are only inferred.
#ifndef SQ_LIB_IMPORTER_GUARDEDSCHEMAS_H
#define SQ_LIB_IMPORTER_GUARDEDSCHEMAS_H

#include "onnx/defs/schema.h"

namespace sq::importer {

/// The operators of onnx. What would crash their inference or keep it busy for minutes fails with
/// an InferenceError instead.
const ::onnx::ISchemaRegistry &guardedSchemas();

} // namespace sq::importer

#endif
