/// The tensor of sq's arithmetic oracle.
///
/// lib/numerics says what each operator computes, in plain C++ that can be read
/// beside the ONNX specification; nothing here is meant to be fast. Values of
/// every floating-point type are held in double and are NOT rounded to the type
/// after each step: the results are what exact arithmetic would give, up to
/// double's own error (about 1e-15 relative a step), so that the error of a
/// compiled program can be measured against them. Rounding happens only where
/// an operator asks for it (cast). Integers are exact, with the wrap-around of
/// their type.
#ifndef SQ_NUMERICS_TENSOR_H
#define SQ_NUMERICS_TENSOR_H

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "lib/support/SmallFloat.h"

namespace sq::numerics {

/// An operator was given operands that it is not defined for.
class Error : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Those from I4 on are only stored and cast; floats of 8 bits or less hold the values that
/// lib/support/SmallFloat.h gives their codes.
enum class DType {
  Bool, I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64,
  I4, U4, I2, U2, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1
};
constexpr int numDTypes = 23;

/// "f32", "u8", "bool", ... .
const char *name(DType type);
bool isFloat(DType type);
bool isUnsigned(DType type);
/// Bits of a value in memory; a bool takes 8, as do types of less bits.
int bitWidth(DType type);
/// Bits that a value needs: 4 for I4.
int valueBits(DType type);
/// The format of a float of 8 bits or less, null for other types.
const SmallFloat *smallFloatOf(DType type);

using Shape = std::vector<int64_t>;

/// "[2, 3]".
std::string format(const Shape &shape);
/// Product of the dims. Throws Error when a dim is negative or the product
/// does not fit in 2^40 (the oracle is for tests: more is a mistake).
int64_t numElements(const Shape &shape);
/// Elements between neighbours along each dim of a dense row-major tensor.
std::vector<int64_t> stridesOf(const Shape &shape);
/// `axis` in [-rank, rank) as one in [0, rank). Throws Error outside.
int64_t normalizeAxis(int64_t axis, int64_t rank);

/// Dense, row-major. Exactly one of the vectors is in use, by `dtype`.
struct Tensor {
  DType dtype = DType::F32;
  Shape shape;
  std::vector<double> reals;     // of a floating-point tensor
  std::vector<int64_t> integers; // of any other; bool is 0 or 1, u64 its bit pattern

  /// All elements zero.
  static Tensor zeros(DType dtype, Shape shape);
  static Tensor ofReals(DType dtype, Shape shape, std::vector<double> values);
  static Tensor ofIntegers(DType dtype, Shape shape, std::vector<int64_t> values);

  bool isFloat() const { return numerics::isFloat(dtype); }
  int64_t rank() const { return shape.size(); }
  int64_t size() const { return isFloat() ? reals.size() : integers.size(); }
  /// Element `i` in row-major order, as the nearest double.
  double real(int64_t i) const;
};

/// Two's complement wrap-around of `value` to an integer type; != 0 for bool.
int64_t wrap(int64_t value, DType type);

/// Round to nearest, ties to even, straight from double (no double rounding);
/// beyond the largest finite value: infinity.
double roundToF32(double value);
double roundToF16(double value);
double roundToBF16(double value);
/// By type; F64 is the identity.
double roundTo(double value, DType type);

/// Bit patterns. The value must be representable (round first).
uint16_t encodeF16(double value);
uint16_t encodeBF16(double value);
double decodeF16(uint16_t bits);
double decodeBF16(uint16_t bits);

/// ONNX Cast. To a floating-point type: rounded as above, unless the source
/// already has this type. Floating point to integer: truncated; what the type
/// cannot hold is undefined in ONNX and saturates here, NaN becomes 0. Integer
/// to integer: wraps. To bool: != 0.
Tensor cast(const Tensor &x, DType type);

/// Reads a dense little-endian buffer of `type`, unaligned, one byte a bool.
/// `bytes` must be exactly numElements(shape) * bitWidth(type) / 8.
Tensor fromBytes(DType type, Shape shape, const void *data, uint64_t bytes);
/// The reverse, each value rounded to the type first.
std::vector<uint8_t> toBytes(const Tensor &x);

} // namespace sq::numerics

#endif
