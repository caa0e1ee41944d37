/// ONNX TensorProto files (.pb), as test data folders hold them.
///
/// This reads the protobuf wire format itself, because executables made by
/// sq-compile contain it and must not need libprotobuf. Everything the compiler
/// reads goes through onnx's own library.
#ifndef SQ_LIB_TENSORIO_TENSORPROTO_H
#define SQ_LIB_TENSORIO_TENSORPROTO_H

#include "lib/tensorio/Tensor.h"

namespace sq {

/// Reads `path`: raw or typed data, the tensor's name included. Refused with
/// what is wrong when it is not a TensorProto (a sequence, for example), its
/// element type is not one of sq's, its data are external, or their number does
/// not fit the dims.
Status readTensorProto(const std::string &path, Tensor &tensor);

/// The same of bytes in memory; `what` starts the messages.
Status parseTensorProto(const uint8_t *data, size_t size, const std::string &what, Tensor &tensor);

} // namespace sq

#endif
