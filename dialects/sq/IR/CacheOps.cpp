/// Caches of keys and values: verifiers.
#include "dialects/sq/IR/ShapeChecks.h"
#include "dialects/sq/IR/SqOps.h"

using namespace mlir;
using namespace sq;

/// A vector with a number for each row of the batch of `x`.
static bool countsRows(Value lengths, ShapedType x) {
  return shaped(lengths).getRank() == 1 &&
         dimsAgree(shaped(lengths).getDimSize(0), x.getDimSize(0));
}

/// Whether `rotary` is nothing, or what turns `x` [b, t, h, d].
static bool turns(OperandRange rotary, ShapedType x) {
  if (rotary.empty())
    return true;
  if (rotary.size() != 2)
    return false;
  ShapedType cos = shaped(rotary[0]), sin = shaped(rotary[1]);
  const int64_t size = x.getDimSize(3);
  return shapesAgree(cos, sin) && cos.getRank() == 3 &&
         cos.getElementType() == x.getElementType() &&
         sin.getElementType() == x.getElementType() &&
         (cos.getDimSize(0) == 1 ||
          dimsAgree(cos.getDimSize(0), x.getDimSize(0))) &&
         dimsAgree(cos.getDimSize(1), x.getDimSize(1)) &&
         !ShapedType::isDynamic(size) && size % 2 == 0 &&
         (cos.getDimSize(2) == size || cos.getDimSize(2) == size / 2);
}

static InFlightDiagnostic emitDoesNotTurn(Operation *op, OperandRange rotary,
                                          ShapedType x) {
  return op->emitOpError("needs a cosine and a sine [b, t, d] or [b, t, d/2] "
                         "to turn ")
         << x << ", got (" << rotary.getTypes() << ")";
}

LogicalResult KvAppendOp::verify() {
  ShapedType rows = shaped(getRows()), cache = shaped(getOuts());
  // kv_append_c1
  bool fits = rows.getRank() == 4 && cache.getRank() == 4;
  for (int64_t d : {0, 2, 3})
    fits = fits && dimsAgree(rows.getDimSize(d), cache.getDimSize(d));
  if (!fits)
    return emitOpError("needs rows [b, t, h, d] and a cache [b, c, h, d], got ")
           << rows << " and " << cache;
  // kv_append_c2
  if (!countsRows(getLengths(), cache))
    return emitOpError("needs a length for each row of ")
           << cache << ", got " << getLengths().getType();
  // kv_append_c3
  if (rows.getElementType() != cache.getElementType())
    return emitOpError("needs rows and a cache of one element type, got ")
           << rows << " and " << cache;
  // kv_append_c4
  if (!turns(getRotary(), rows))
    return emitDoesNotTurn(*this, getRotary(), rows);
  return success();
}

LogicalResult KvAttendOp::verify() {
  ShapedType q = shaped(getQ()), k = shaped(getK()), v = shaped(getV()),
             o = shaped(getOuts());
  auto divides = [](int64_t g, int64_t h) {
    return ShapedType::isDynamic(g) || ShapedType::isDynamic(h) ||
           (g > 0 && h % g == 0);
  };
  // kv_attend_c1
  if (q.getRank() != 4 || k.getRank() != 4 || !shapesAgree(q, o) ||
      !shapesAgree(k, v) || !dimsAgree(q.getDimSize(0), k.getDimSize(0)) ||
      !divides(k.getDimSize(2), q.getDimSize(2)) ||
      !dimsAgree(q.getDimSize(3), k.getDimSize(3)))
    return emitOpError("needs q and outs [b, s, h, d], k and v [b, c, g, d] "
                       "with g dividing h, got ")
           << q << ", " << o << ", " << k << " and " << v;
  // kv_attend_c2
  if (!countsRows(getLengths(), k))
    return emitOpError("needs a length for each row of ")
           << k << ", got " << getLengths().getType();
  // kv_attend_c3
  if (!turns(getRotary(), q))
    return emitDoesNotTurn(*this, getRotary(), q);
  return success();
}
