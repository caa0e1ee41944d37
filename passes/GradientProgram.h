/// What the inputs and results of a program that --sq-differentiate makes are
/// called.
#ifndef SQ_PASSES_GRADIENTPROGRAM_H
#define SQ_PASSES_GRADIENTPROGRAM_H

namespace sq {

/// Result: the loss of each sample, [batch].
inline constexpr char kLoss[] = "loss";
/// Result: this and the layer's name (or the input's): of the shape of what it
/// is by.
inline constexpr char kGradientPrefix[] = "gradient:";
/// Result, with products: this and the name.
inline constexpr char kProductPrefix[] = "product:";
/// Inputs: labels of "cross-entropy", what "kl" and "mse" compare with, the
/// cotangent of "given".
inline constexpr char kLabels[] = "labels";
inline constexpr char kReference[] = "reference";
inline constexpr char kCotangentPrefix[] = "cotangent:";
/// Input, with products: this and the name; of the shape of what it is for.
inline constexpr char kVectorPrefix[] = "vector:";
/// Input, with weight-arguments: this and the layer's name.
inline constexpr char kWeightPrefix[] = "weight:";

/// Attribute of @main: for each gradient a dictionary of its `name`, the
/// `layers` that have the weight, its `type`, what the `weight` is called in
/// the model (empty: unknown), and of weights that are inputs the `value`.
inline constexpr char kGradientsAttribute[] = "sq.gradients";

/// Attribute of @main: how many classes labels are of, where that is known.
inline constexpr char kClassesAttribute[] = "sq.classes";

} // namespace sq

#endif
