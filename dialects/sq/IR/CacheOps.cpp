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
  return success();
}
