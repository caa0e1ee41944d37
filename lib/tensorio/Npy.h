/// NumPy's .npy files, versions 1 to 3: https://numpy.org/doc/stable/reference/
/// generated/numpy.lib.format.html. Little endian, row-major; all element types
/// of sq, bf16 as the 2-byte void type `<V2` that ml_dtypes writes.
#ifndef SQ_LIB_TENSORIO_NPY_H
#define SQ_LIB_TENSORIO_NPY_H

#include "lib/tensorio/File.h"

namespace sq {

/// A .npy file, or the part of another file that is one, whose rows are read when they are asked for.
class NpyFile {
public:
  /// Refused with what is wrong when the header is malformed, the order is Fortran's, the type is not
  /// one of sq's, or the size is not exactly that of header and data.
  Status open(const std::string &path);
  /// The array `name` in `size` bytes of `archive`.
  Status open(std::shared_ptr<InputFile> archive, const std::string &name, uint64_t offset, uint64_t size);

  DType dtype() const { return type; }
  const std::vector<int64_t> &shape() const { return dims; }
  /// The path, for an array of an archive with its name; quoted.
  const std::string &title() const { return what; }

  /// The whole array.
  Status read(Tensor &tensor) const;
  /// [begin, begin + count) of the first dimension, which there must be.
  Status readRows(int64_t begin, int64_t count, Tensor &tensor) const;

private:
  Status readHeader(uint64_t offset, uint64_t size);

  std::shared_ptr<InputFile> file;
  std::string what;
  DType type = DType::f32;
  std::vector<int64_t> dims;
  uint64_t dataAt = 0;
};

/// Reads `path`, see NpyFile::open.
Status readNpy(const std::string &path, Tensor &tensor);

/// Writes version 1; see writeFile.
Status writeNpy(const std::string &path, const Tensor &tensor);

} // namespace sq

#endif
