/// What a defect of sq leaves behind, so that it can be reported.
#ifndef SQ_LIB_DRIVER_REPRODUCER_H
#define SQ_LIB_DRIVER_REPRODUCER_H

#include <string>

namespace sq {

/// Imports `model` again and writes it to `path`, together with `pipeline`:
/// `sq-opt --run-reproducer path` runs them.
/// Weights above a few kilobytes are left out: what fails depends on shapes,
/// and a model's owner may not want to hand them on. False when the file could
/// not be written or the model not be read again (stdin).
bool writeReproducer(const std::string &model, const std::string &pipeline, const std::string &path);

} // namespace sq

#endif
