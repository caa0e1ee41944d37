#include "lib/driver/ElfObject.h"

#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/Errno.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace sq {
namespace {

constexpr uint64_t kPage = 4096;

Error errnoError(const Twine &what, int code) {
  return createStringError(std::error_code(code, std::generic_category()),
                           what + ": " + sys::StrError(code));
}

/// write(2) until all is written.
Error writeAt(int fd, uint64_t offset, const void *data, size_t size) {
  const char *from = static_cast<const char *>(data);
  while (size) {
    ssize_t n = pwrite(fd, from, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return errnoError("cannot write", n < 0 ? errno : EIO);
    from += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return Error::success();
}

/// A string table under construction.
struct Strings {
  std::string bytes = std::string(1, '\0');
  uint32_t add(StringRef text) {
    uint32_t at = static_cast<uint32_t>(bytes.size());
    bytes += text;
    bytes += '\0';
    return at;
  }
};

} // namespace

Error writeDataObject(const std::string &path, uint64_t weightsSize,
                      function_ref<Error(MutableArrayRef<uint8_t>)> fillWeights,
                      function_ref<std::string(ArrayRef<uint8_t>)> makeManifest) {
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0)
    return errnoError("cannot create", errno);
  llvm::scope_exit closeFile([&] { close(fd); });

  std::string manifest;
  const uint64_t weightsOffset = kPage;
  const uint64_t weightsEnd = weightsOffset + weightsSize;
  if (weightsSize) {
    // posix_fallocate: a hole would turn a full disk into a SIGBUS below.
    if (int code = posix_fallocate(fd, 0, static_cast<off_t>(weightsEnd)))
      return errnoError("cannot reserve " + Twine(weightsEnd) + " bytes", code);
    void *map = mmap(nullptr, weightsSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                     static_cast<off_t>(weightsOffset));
    if (map == MAP_FAILED)
      return errnoError("cannot map", errno);
    llvm::scope_exit unmap([&] { munmap(map, weightsSize); });
    MutableArrayRef<uint8_t> weights(static_cast<uint8_t *>(map), weightsSize);
    if (Error error = fillWeights(weights))
      return error;
    manifest = makeManifest(weights);
  } else {
    manifest = makeManifest({});
  }

  enum { Weights = 1, ManifestIndex, Note, Symtab, Strtab, Shstrtab, Sections };
  Strings names, symbolNames;
  ELF::Elf64_Sym symbols[5] = {};
  auto symbol = [&](int index, StringRef name, uint16_t section, uint64_t value, uint64_t size) {
    symbols[index].st_name = symbolNames.add(name);
    symbols[index].st_info = static_cast<unsigned char>(
        ELF::STB_GLOBAL << 4 | (section == ELF::SHN_ABS ? ELF::STT_NOTYPE : ELF::STT_OBJECT));
    symbols[index].st_other = ELF::STV_HIDDEN;
    symbols[index].st_shndx = section;
    symbols[index].st_value = value;
    symbols[index].st_size = size;
  };
  symbol(1, "sq_weights_begin", Weights, 0, weightsSize);
  symbol(2, "sq_manifest_begin", ManifestIndex, 0, manifest.size());
  symbol(3, "sq_weights_bytes", ELF::SHN_ABS, weightsSize, 0);
  symbol(4, "sq_manifest_bytes", ELF::SHN_ABS, manifest.size(), 0);

  ELF::Elf64_Shdr headers[Sections] = {};
  uint64_t end = weightsEnd;
  auto section = [&](int index, StringRef name, uint32_t type, uint64_t flags, uint64_t size,
                     uint64_t align) -> ELF::Elf64_Shdr & {
    ELF::Elf64_Shdr &header = headers[index];
    header.sh_name = names.add(name);
    header.sh_type = type;
    header.sh_flags = flags;
    header.sh_offset = end = alignTo(end, align);
    header.sh_size = size;
    header.sh_addralign = align;
    end += size;
    return header;
  };
  end = weightsOffset;
  // SHF_X86_64_LARGE: the linker places it so that more than 2 GiB of weights
  // cannot push code and data out of reach of 32-bit relocations.
  section(Weights, kWeightsSection, ELF::SHT_PROGBITS, ELF::SHF_ALLOC | ELF::SHF_X86_64_LARGE,
          weightsSize, kPage);
  section(ManifestIndex, kManifestSection, ELF::SHT_PROGBITS, ELF::SHF_ALLOC, manifest.size(), 16);
  section(Note, ".note.GNU-stack", ELF::SHT_PROGBITS, 0, 0, 1); // no executable stack
  ELF::Elf64_Shdr &symtab = section(Symtab, ".symtab", ELF::SHT_SYMTAB, 0, sizeof(symbols), 8);
  symtab.sh_link = Strtab;
  symtab.sh_info = 1; // first global symbol
  symtab.sh_entsize = sizeof(ELF::Elf64_Sym);
  section(Strtab, ".strtab", ELF::SHT_STRTAB, 0, symbolNames.bytes.size(), 1);
  uint32_t shstrtabName = names.add(".shstrtab");
  section(Shstrtab, "", ELF::SHT_STRTAB, 0, 0, 1).sh_name = shstrtabName;
  headers[Shstrtab].sh_size = names.bytes.size();
  uint64_t headersOffset = alignTo(headers[Shstrtab].sh_offset + names.bytes.size(), 8);

  ELF::Elf64_Ehdr header = {};
  memcpy(header.e_ident, ELF::ElfMagic, 4);
  header.e_ident[ELF::EI_CLASS] = ELF::ELFCLASS64;
  header.e_ident[ELF::EI_DATA] = ELF::ELFDATA2LSB;
  header.e_ident[ELF::EI_VERSION] = ELF::EV_CURRENT;
  header.e_type = ELF::ET_REL;
  header.e_machine = ELF::EM_X86_64;
  header.e_version = ELF::EV_CURRENT;
  header.e_shoff = headersOffset;
  header.e_ehsize = sizeof(header);
  header.e_shentsize = sizeof(ELF::Elf64_Shdr);
  header.e_shnum = Sections;
  header.e_shstrndx = Shstrtab;

  struct {
    uint64_t offset;
    const void *data;
    size_t size;
  } parts[] = {{0, &header, sizeof(header)},
               {headers[ManifestIndex].sh_offset, manifest.data(), manifest.size()},
               {headers[Symtab].sh_offset, symbols, sizeof(symbols)},
               {headers[Strtab].sh_offset, symbolNames.bytes.data(), symbolNames.bytes.size()},
               {headers[Shstrtab].sh_offset, names.bytes.data(), names.bytes.size()},
               {headersOffset, headers, sizeof(headers)}};
  for (auto &part : parts)
    if (Error error = writeAt(fd, part.offset, part.data, part.size))
      return error;
  closeFile.release();
  if (close(fd))
    return errnoError("cannot write", errno);
  return Error::success();
}

} // namespace sq
