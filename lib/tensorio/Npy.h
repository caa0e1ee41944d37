/// NumPy's .npy files, versions 1 to 3: https://numpy.org/doc/stable/reference/
/// generated/numpy.lib.format.html. Little endian, row-major; all element types
/// of sq, bf16 as the 2-byte void type `<V2` that ml_dtypes writes.
#ifndef SQ_LIB_TENSORIO_NPY_H
#define SQ_LIB_TENSORIO_NPY_H

#include "lib/tensorio/Tensor.h"

namespace sq {

/// Reads `path`. Refused with what is wrong when the header is malformed, the
/// order is Fortran's, the type is not one of sq's, or the file's size is not
/// exactly that of header and data.
Status readNpy(const std::string &path, Tensor &tensor);

/// Writes version 1; see writeFile.
Status writeNpy(const std::string &path, const Tensor &tensor);

} // namespace sq

#endif
