/// NumPy's .npz files: zip archives of .npy members, as numpy.savez writes them.
#ifndef SQ_LIB_TENSORIO_NPZ_H
#define SQ_LIB_TENSORIO_NPZ_H

#include "lib/tensorio/File.h"

namespace sq {

/// An array inside of an archive.
struct NpzMember {
  std::string name; // without ".npy"
  uint64_t offset, size; // of the .npy file, in bytes of the archive
};

/// Lists the arrays of `file`, nothing is read into memory. Refused with what is wrong when it is not
/// a zip archive, a directory entry contradicts the file, or a member is compressed
/// (numpy.savez_compressed): arrays are read where they lie, a sample at a time.
Status listNpz(const InputFile &file, std::vector<NpzMember> &members);

} // namespace sq

#endif
