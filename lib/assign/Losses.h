/// Expected losses from what is measured of a layer, and those of plans to
/// compare with.
#ifndef SQ_LIB_ASSIGN_LOSSES_H
#define SQ_LIB_ASSIGN_LOSSES_H

#include "lib/assign/Problem.h"

namespace sq::assign {

/// HAWQ-V2 and -V3 (arXiv 1911.03852, 2011.10680): trace of the Hessian by its
/// elements, times the squared rounding error. They leave out the 1/2 of the
/// expansion; so does this.
double traceLoss(double trace, int64_t elements, double squaredError);

/// Without data: the relative squared error, weighted by the layer's share of
/// all weights. 0 for a weight of zeros.
double dataFreeLoss(double squaredError, double squaredWeight, int64_t elements,
                    int64_t allElements);

/// Makes losses of a layer comparable with those of others: their ratios stay,
/// and choice `place` gets the loss that was `measured` with only this layer
/// rounded. As they are where that choice has no loss to compare with, or the
/// measured one is not above 0.
void scaleToProbe(Layer &layer, size_t place, double measured);

/// Kendall's distance of two rankings: the share of pairs that they order
/// differently, of those that both order. Above 0.1 between two seeds
/// sensitivities have not converged. 0 for fewer than two values.
double rankingDistance(llvm::ArrayRef<double> a, llvm::ArrayRef<double> b);

/// How much each group's loss exceeds that of others of its size: the geometric
/// mean over choices of loss / (elements * 4^-bits), 0 for groups without
/// losses.
std::vector<double> sensitivitiesOf(llvm::ArrayRef<Group> groups);

/// Groups with the losses per weight that others have: group i those of group
/// `from[i]`, choice by choice. A choice that the other one lacks is expected
/// to lose what the other's sensitivity says. Each loss occurs as often as
/// before, so that a plan by them trades as many bits as the real one does: a
/// control to measure it against.
std::vector<Group> withLossesFrom(llvm::ArrayRef<Group> groups,
                                  llvm::ArrayRef<size_t> from);

/// For withLossesFrom: another group's to each, the same for the same seed
/// anywhere. Groups with a single choice keep their own.
std::vector<size_t> shuffledGroups(llvm::ArrayRef<Group> groups, uint64_t seed);
/// The most sensitive group has the least one's losses per weight, and so on.
std::vector<size_t> reversedGroups(llvm::ArrayRef<Group> groups);

} // namespace sq::assign

#endif
