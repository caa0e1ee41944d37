#include "test/cuda/emulator/Driver.h"
#include "test/cuda/emulator/Launch.h"

#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

using sq::emulator::deviceMemory;

namespace sq::fake_cuda {
namespace {

/// The kernels' constants and variables lie in the image's own segments, which
/// therefore are device memory.
void addConstants(CUmod_st &module, const void *symbol) {
  struct Search {
    CUmod_st &module;
    uintptr_t symbol;
  } search{module, reinterpret_cast<uintptr_t>(symbol)};
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *data) {
        auto &s = *static_cast<Search *>(data);
        auto segments = [&](auto visit) {
          for (int i = 0; i < info->dlpi_phnum; ++i)
            if (info->dlpi_phdr[i].p_type == PT_LOAD)
              visit(info->dlpi_phdr[i],
                    info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        };
        bool found = false;
        segments([&](const ElfW(Phdr) & segment, uintptr_t base) {
          found |= s.symbol - base < segment.p_memsz;
        });
        if (!found)
          return 0;
        segments([&](const ElfW(Phdr) & segment, uintptr_t base) {
          if (!segment.p_memsz)
            return;
          auto *begin = reinterpret_cast<const void *>(base);
          deviceMemory().add(begin, segment.p_memsz, segment.p_flags & PF_W);
          s.module.constants.push_back(begin);
        });
        return 1;
      },
      &search);
}

CUresult open(CUmod_st &module, const void *image) {
  Elf64_Ehdr header;
  auto *bytes = static_cast<const char *>(image);
  if (std::strncmp(bytes, ELFMAG, SELFMAG) != 0)
    return refuse(CUDA_ERROR_INVALID_IMAGE,
                  "the module is no ELF file (PTX cannot be run here)");
  std::memcpy(&header, image, sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
    return refuse(CUDA_ERROR_NO_BINARY_FOR_GPU,
                  "the module is for machine %d, and only code for x86-64 "
                  "(sq-compile --emulate-cuda) can be run here",
                  header.e_machine);
  // Linkers put the section headers last.
  size_t size = header.e_shoff + size_t{header.e_shnum} * header.e_shentsize;
  module.file = memfd_create("sq-emulated-image", MFD_CLOEXEC);
  for (size_t done = 0; done < size;) {
    ssize_t n = write(module.file, bytes + done, size - done);
    if (n <= 0)
      return refuse(CUDA_ERROR_OUT_OF_MEMORY, "no memory for a module");
    done += n;
  }
  // The file stays open as long as the library: dlopen takes two files of one
  // name for the same.
  std::string path = "/proc/self/fd/" + std::to_string(module.file);
  module.library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module.library)
    return refuse(CUDA_ERROR_INVALID_IMAGE, "cannot load the module: %s",
                  dlerror());
  auto *content = static_cast<sq_emulated_image *>(
      dlsym(module.library, "sq_emulated_image"));
  if (!content)
    return refuse(CUDA_ERROR_INVALID_IMAGE,
                  "the module exports no sq_emulated_image");
  content->functions = &sq::emulator::functions;
  for (int64_t i = 0; i < content->num_kernels; ++i) {
    const sq_emulated_kernel &kernel = content->kernels[i];
    module.functions[kernel.name] = std::make_unique<CUfunc_st>(CUfunc_st{
        &kernel, static_cast<int>((48 << 10) - kernel.static_shared_bytes)});
  }
  addConstants(module, content);
  return CUDA_SUCCESS;
}

void close(CUmod_st &module) {
  for (const void *constant : module.constants)
    deviceMemory().remove(constant);
  if (module.library)
    dlclose(module.library);
  if (module.file >= 0)
    ::close(module.file);
}

CUresult checkLaunch(const CUfunc_st &function, const unsigned grid[3],
                     const unsigned block[3], unsigned sharedBytes) {
  const char *name = function.kernel->name;
  const unsigned maxGrid[3] = {0x7FFFFFFF, 65535, 65535};
  const unsigned maxBlock[3] = {1024, 1024, 64};
  for (int i = 0; i < 3; ++i) {
    if (grid[i] == 0 || grid[i] > maxGrid[i])
      return refuse(CUDA_ERROR_INVALID_VALUE,
                    "launch of '%s': %u blocks in dimension %d, 1 to %u are "
                    "possible",
                    name, grid[i], i, maxGrid[i]);
    if (block[i] == 0 || block[i] > maxBlock[i])
      return refuse(CUDA_ERROR_INVALID_VALUE,
                    "launch of '%s': %u threads in dimension %d, 1 to %u are "
                    "possible",
                    name, block[i], i, maxBlock[i]);
  }
  if (uint64_t{block[0]} * block[1] * block[2] > 1024)
    return refuse(CUDA_ERROR_INVALID_VALUE,
                  "launch of '%s': a block of %u x %u x %u threads, 1024 are "
                  "possible",
                  name, block[0], block[1], block[2]);
  if (static_cast<int64_t>(sharedBytes) > function.maxDynamicShared)
    return refuse(CUDA_ERROR_INVALID_VALUE,
                  "launch of '%s': %u bytes of dynamic shared memory beside "
                  "%lld static ones, %d are allowed",
                  name, sharedBytes,
                  static_cast<long long>(function.kernel->static_shared_bytes),
                  function.maxDynamicShared);
  return CUDA_SUCCESS;
}

/// A launch as it waits on a stream or in a graph: parameters are copied when
/// it is queued.
struct QueuedLaunch {
  const sq_emulated_kernel *kernel;
  CUfunction function;
  unsigned grid[3], block[3];
  unsigned sharedBytes;
  std::vector<std::vector<uint8_t>> params;

  CUresult operator()() {
    if (!driver().functions.count(function))
      return refuse(CUDA_ERROR_ILLEGAL_ADDRESS,
                    "a graph runs a kernel of an unloaded module");
    std::vector<void *> pointers;
    for (std::vector<uint8_t> &param : params)
      pointers.push_back(param.data());
    emulator::Launch launch{kernel,
                            {grid[0], grid[1], grid[2]},
                            {block[0], block[1], block[2]},
                            sharedBytes,
                            pointers.data()};
    return static_cast<CUresult>(emulator::run(launch));
  }
};

} // namespace

void closeModule(CUmodule module) {
  Driver &d = driver();
  for (auto &[name, function] : module->functions)
    d.functions.erase(function.get());
  d.modules.erase(module);
  close(*module);
  delete module;
}

} // namespace sq::fake_cuda

using namespace sq::fake_cuda;

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count,
                            int *options, void **values) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!image)
    return CUDA_ERROR_INVALID_VALUE;
  if (CUresult result = refuseInCapture())
    return result;
  auto loaded = std::make_unique<CUmod_st>();
  loaded->library = nullptr;
  loaded->file = -1;
  if (CUresult result = open(*loaded, image)) {
    close(*loaded);
    return result;
  }
  Driver &d = driver();
  for (auto &[name, function] : loaded->functions)
    d.functions.insert(function.get());
  *module = loaded.release();
  d.modules.insert(*module);
  return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!driver().modules.count(module))
    return CUDA_ERROR_INVALID_HANDLE;
  flushAll();
  closeModule(module);
  return driver().sticky;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module,
                             const char *name) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!driver().modules.count(module))
    return CUDA_ERROR_INVALID_HANDLE;
  auto found = module->functions.find(name);
  if (found == module->functions.end())
    return CUDA_ERROR_NOT_FOUND;
  *function = found->second.get();
  return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!driver().functions.count(function))
    return CUDA_ERROR_INVALID_HANDLE;
  if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT)
    return value >= -1 && value <= 100 ? CUDA_SUCCESS
                                       : CUDA_ERROR_INVALID_VALUE;
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
    return CUDA_ERROR_INVALID_VALUE;
  int64_t all = function->kernel->static_shared_bytes + value;
  if (value < 0 || all > driver().maxDynamicShared())
    return refuse(CUDA_ERROR_INVALID_VALUE,
                  "cuFuncSetAttribute of '%s': %lld bytes of shared memory, "
                  "a block of this device has at most %d",
                  function->kernel->name, static_cast<long long>(all),
                  driver().maxDynamicShared());
  function->maxDynamicShared = value;
  return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
  Entry entry;
  if (!entry)
    return entry.result;
  if (!driver().functions.count(function))
    return CUDA_ERROR_INVALID_HANDLE;
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    *value = 1024;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    *value = static_cast<int>(function->kernel->static_shared_bytes);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
    *value = 0;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_NUM_REGS:
    *value = 32;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PTX_VERSION:
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
    *value = driver().capability;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    *value = function->maxDynamicShared;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    *value = -1;
    return CUDA_SUCCESS;
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY,
                        unsigned gridZ, unsigned blockX, unsigned blockY,
                        unsigned blockZ, unsigned sharedBytes, CUstream stream,
                        void **params, void **extra) {
  Entry entry;
  if (!entry)
    return entry.result;
  CUstream_st *queue = find(stream);
  if (!queue || !driver().functions.count(function))
    return CUDA_ERROR_INVALID_HANDLE;
  const sq_emulated_kernel *kernel = function->kernel;
  if (extra || (kernel->num_params && !params))
    return refuse(CUDA_ERROR_INVALID_VALUE,
                  "launch of '%s': parameters are taken from kernelParams only",
                  kernel->name);
  QueuedLaunch launch{
      kernel,      function, {gridX, gridY, gridZ}, {blockX, blockY, blockZ},
      sharedBytes, {}};
  if (CUresult result =
          checkLaunch(*function, launch.grid, launch.block, sharedBytes))
    return result;
  for (int i = 0; i < kernel->num_params; ++i) {
    auto *param = static_cast<const uint8_t *>(params[i]);
    launch.params.emplace_back(param, param + kernel->param_bytes[i]);
  }
  return submit(*queue, std::move(launch));
}
