/// Which inputs of an ONNX graph are indices of a table, and of how many rows.
#ifndef SQ_PASSES_ANALYSIS_TOKENINPUTS_H
#define SQ_PASSES_ANALYSIS_TOKENINPUTS_H

#include "mlir/Interfaces/FunctionInterfaces.h"

#include <map>
#include <string>

namespace sq {

/// Of each integer argument of `main`, as it is imported, that a Gather (or an embedding operator of
/// com.microsoft) takes as its indices, perhaps after casts and changes of shape: the least number of
/// rows of such tables. By the input's name.
std::map<std::string, int64_t> tokenInputs(mlir::FunctionOpInterface main);

} // namespace sq

#endif
