/// A dense tensor in memory, as the tools read, convert, compare and write it.
/// Free of MLIR and LLVM and built without exceptions: executables made by
/// sq-compile contain this library.
#ifndef SQ_LIB_TENSORIO_TENSOR_H
#define SQ_LIB_TENSORIO_TENSOR_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "lib/support/SmallFloat.h"
#include "sq/compiler.h"

namespace sq {

/// Done, or why not and with which exit code a tool ends on that.
struct [[nodiscard]] Status {
  ExitCode code = ExitCode::Done;
  std::string message;

  bool ok() const { return code == ExitCode::Done; }
  static Status refused(std::string why) { return {ExitCode::Refused, std::move(why)}; }
  static Status usage(std::string why) { return {ExitCode::Usage, std::move(why)}; }
  static Status lacking(std::string why) { return {ExitCode::Lacking, std::move(why)}; }
};

/// Element types; the order is that of runtime/core/manifest.fbs.
/// Those from i4 on are only stored: one byte an element, integers sign- or zero-extended,
/// floats as their code (in the low bits).
enum class DType : uint8_t {
  f32, f64, f16, bf16, i8, u8, i16, u16, i32, u32, i64, u64, bool8,
  i4, u4, i2, u2, f8e4m3fn, f8e4m3fnuz, f8e5m2, f8e5m2fnuz, f8e8m0, f4e2m1
};
constexpr int numDTypes = 23;

/// Bytes per element.
size_t byteWidth(DType dtype);
/// Bits of a value; below 8 only for those that files hold packed.
int valueBits(DType dtype);
/// The format of a float of 8 bits or less, null for other types.
const SmallFloat *smallFloatOf(DType dtype);
/// "f32", "i64", "bool8" ...
const char *dtypeName(DType dtype);
/// False when `name` is none of them.
bool parseDType(const std::string &name, DType &dtype);
bool isFloat(DType dtype);
inline bool isInteger(DType dtype) { return !isFloat(dtype); } // bool8 too

/// Owned bytes, 64-byte aligned. Allocation can fail without an exception.
class Buffer {
public:
  /// Replaces the content by `size` uninitialised bytes; false when there is
  /// no memory. `data()` is never null afterwards.
  bool allocate(size_t size);
  uint8_t *data() { return bytes.get(); }
  const uint8_t *data() const { return bytes.get(); }
  size_t size() const { return length; }

private:
  struct Free {
    void operator()(uint8_t *p) const { std::free(p); }
  };
  std::unique_ptr<uint8_t, Free> bytes;
  size_t length = 0;
};

/// Row-major, dense, little endian.
struct Tensor {
  std::string name; // may be empty
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  Buffer bytes;

  int64_t numElements() const;
  /// Sets dtype and shape and allocates the bytes, uninitialised. Refuses
  /// negative dims and sizes that overflow.
  Status allocate(DType dtype, std::vector<int64_t> shape);

  /// Element `i` of a float or integer tensor, as double (64-bit integers may
  /// be rounded).
  double asDouble(int64_t i) const;
  /// Element `i` of an integer tensor; u64 above INT64_MAX wraps, see `convert`.
  int64_t asInt(int64_t i) const;
  /// Stores `value`, rounded to nearest even for floats; false when an integer
  /// does not fit.
  bool setInt(int64_t i, int64_t value);
  void setDouble(int64_t i, double value);
};

/// The product of `shape` and `width`; false when a dim is negative or the
/// product does not fit. A zero dim gives zero whatever the others are.
bool byteSize(const std::vector<int64_t> &shape, size_t width, size_t &bytes);

/// "2x3xi64"; "i64" for rank 0.
std::string typeString(DType dtype, const std::vector<int64_t> &shape);
inline std::string typeString(const Tensor &t) { return typeString(t.dtype, t.shape); }

/// `tensor` with element type `dtype`. Only conversions that keep every value:
/// integers (and bool8) to integers that hold them, floats to wider floats. u8 to a float
/// of 8 bits or less are its codes, as .npy files hold them.
Status convert(Tensor &tensor, DType dtype);

/// Bytes of bool8 other than 0 and 1 become 1; generated code relies on that.
/// Readers have done it.
void normalizeBools(Tensor &tensor);

/// "2x3xi64=1,2,3,4,5,6", or one value for all elements; for floats also
/// "inf", "-inf" and "nan", for bool8 also "true" and "false". A line feed or
/// space may replace a comma.
Status parseTensor(const std::string &text, Tensor &tensor);

/// "2x3xi64=1,2,3,..." with the first `limit` elements.
std::string formatTensor(const Tensor &tensor, int64_t limit);
/// Shortest text that reads back as element `i`.
std::string formatElement(const Tensor &tensor, int64_t i);

} // namespace sq

#endif
