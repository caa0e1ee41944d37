#include "lib/driver/Target.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"

#include "codegen/cuda/EmitDevice.h"
#include "codegen/cuda/Pipelines.h"
#include "codegen/host/EmitObject.h"
#include "codegen/host/Pipelines.h"
#include "lib/driver/CompileCache.h"
#include "lib/driver/Linker.h"

using namespace mlir;
using namespace sq;

SmallVector<Target> sq::chooseTargets(const CompileOptions &options, bool ofBytes, bool inPairs) {
  SmallVector<Target> targets;
  for (const CudaTarget &cuda : cudaTargets())
    if (llvm::is_contained(options.cuda, cuda.arch)) {
      Target target{hostTargets().front(), cuda};
      target.cuda->tf32 = options.precision == "tf32";
      if (options.precision == "f16" || options.precision == "bf16")
        target.cuda->activations = options.precision;
      target.host.cpu = "x86-64"; // only the kernels have needs
      target.host.attributes = "";
      targets.push_back(target);
    }
  if (!options.cuda.empty())
    return targets;
  for (const HostTarget &host : hostTargets())
    // A level that nothing in the program makes use of would hold the code of the one below once more.
    if (options.levels.empty() ? host.amx    ? ofBytes || inPairs || options.precision == "bf16"
                                 : host.vnni ? ofBytes
                                             : true
                               : llvm::is_contained(options.levels, host.level))
      targets.push_back({host, std::nullopt});
  return targets;
}

size_t sq::typicalTarget(ArrayRef<Target> targets) {
  return targets.size() > 1 && targets.back().host.amx ? targets.size() - 2 : targets.size() - 1;
}

std::string sq::codePipeline(const Target &target, StringRef tile) {
  if (target.cuda)
    return "sq-buffers-to-gpu{arch=" + target.cuda->arch.str() + (target.cuda->tf32 ? " tf32=true" : "") + " activations=" + target.cuda->activations.str() + "},sq-gpu-to-llvm{entry=sq_entry}";
  std::string level = target.host.level.str() + (tile.empty() ? "" : " tile=" + tile.str());
  return "sq-buffers-to-kernels{level=" + level + "},sq-kernels-to-llvm{entry=sq_entry}";
}

static LogicalResult run(ModuleOp module, function_ref<void(OpPassManager &)> build) {
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  pm.enableVerifier(true);
  build(pm);
  return pm.run(module);
}

/// PTX and cubin of the kernels; takes them out of the module.
static llvm::Error emitDevice(ModuleOp module, const CudaTarget &target, const CompileOptions &options,
                              ManifestDevice &device, Schedule &schedule) {
  gpu::GPUModuleOp kernels = *module.getOps<gpu::GPUModuleOp>().begin();
  device.architecture = target.computeCapability;
  device.functions = kernelNames(kernels);
  auto func = module.lookupSymbol("main");
  if (auto messages = func->getAttrOfType<ArrayAttr>("sq.messages"))
    for (auto message : messages.getAsRange<StringAttr>())
      device.messages.push_back(message.getValue().str());
  if (options.emulateCuda) {
    auto object = emitEmulated(kernels);
    if (!object)
      return object.takeError();
    auto image = linkDeviceImage(*object);
    if (!image)
      return image.takeError();
    device.cubin = std::move(*image);
  } else {
    auto ptx = emitPtx(kernels, target);
    if (!ptx)
      return ptx.takeError();
    device.ptx = std::move(*ptx);
    std::string ptxas = findPtxas();
    if (target.wgmma && ptxas.empty() && options.emit.empty())
      return llvm::createStringError(llvm::inconvertibleErrorCode(), target.arch + " needs ptxas, since no driver finishes its PTX for other "
                                     "devices; run tools/scripts/fetch-ptxas.sh, set SQ_PTXAS, or compile for sm_90");
    if (!ptxas.empty() && options.emit.empty()) {
      llvm::StringMap<KernelResources> resources;
      auto cubin = assemblePtx(ptxas, device.ptx, target, resources);
      if (!cubin)
        return cubin.takeError();
      device.cubin = std::move(*cubin);
      if (target.wgmma)
        device.ptx.clear(); // of no use to any other device
      auto launches = module->getAttrOfType<ArrayAttr>("sq.functions").getAsRange<DictionaryAttr>();
      for (auto [kernel, launch] : llvm::zip(schedule.kernels, launches)) {
        KernelResources &r = kernel.resources.emplace(resources[launch.getAs<StringAttr>("function").getValue()]);
        r.sharedBytes += launch.getAs<IntegerAttr>("shared").getInt();
        r.threads = launch.getAs<IntegerAttr>("threads").getInt();
        r.occupancy = occupancy(r, target);
      }
    }
  }
  kernels.erase();
  return llvm::Error::success();
}

bool sq::isRefused(ModuleOp module) {
  return llvm::any_of(module.getOps<func::FuncOp>(), [](func::FuncOp f) { return f->hasAttr("sq.refused"); });
}

bool Variant::generate(const Target &target, const CompileOptions &options, bool sanitize, bool reportOnly) {
  auto lower = [&](function_ref<void(OpPassManager &)> build) {
    bool done = succeeded(run(*module, build));
    refused = !done && isRefused(*module);
    return done;
  };
  auto fail = [&](llvm::Error error) {
    problem = llvm::toString(std::move(error));
    return false;
  };
  if (!lower([&](OpPassManager &pm) {
        if (target.cuda)
          buildBuffersToGpu(pm, target.cuda->arch, target.cuda->tf32, target.cuda->activations);
        else
          buildBuffersToKernels(pm, target.host.level, options.tile);
      }))
    return false;
  if (options.emit == "kernels")
    return true;
  schedule = readSchedule(module->lookupSymbol<func::FuncOp>("main"));
  if (options.cache && options.cache->kernels && !target.cuda && options.emit.empty() && !sanitize && !reportOnly)
    if (llvm::Error error = options.cache->kernels->replaceKernels(*module, target.host, options.emulateAmx, kernels))
      return fail(std::move(error));
  if (reportOnly && !target.cuda) // registers and spills only the assembler knows
    return true;
  if (!lower([&](OpPassManager &pm) {
        if (target.cuda)
          buildGpuToLLVM(pm, entry);
        else
          buildKernelsToLLVM(pm, entry);
      }))
    return false;
  if (target.cuda) {
    if (llvm::Error error = emitDevice(*module, *target.cuda, options, device.emplace(), schedule))
      return fail(std::move(error));
    if (options.emit == "ptx")
      object.assign(device->ptx.begin(), device->ptx.end());
    if (options.emit == "ptx" || reportOnly)
      return true;
  }
  ObjectKind kind = options.emit == "llvm"  ? ObjectKind::LLVM
                    : options.emit == "asm" ? ObjectKind::Assembly
                                            : ObjectKind::Object;
  auto made = emitObject(*module, target.host, entry, kind, sanitize, options.emulateAmx);
  if (!made)
    return fail(made.takeError());
  object = std::move(*made);
  return true;
}
