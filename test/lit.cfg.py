"""How sq's tests run: `lit build/test`, or `make test` for everything."""

import os
import re
import shutil
import sys

import lit.formats

sys.path.insert(0, os.path.join(config.sq_source_dir, "test"))  # gtest_cases
sys.dont_write_bytecode = True

config.name = "sq"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".onnxtxt", ".test"]
config.excludes = ["Inputs", "models", "CMakeLists.txt", "README.md"]
config.test_source_root = os.path.join(config.sq_source_dir, "test")
config.test_exec_root = os.path.join(config.sq_binary_dir, "test")

bin_dir = os.path.join(config.sq_binary_dir, "bin")
config.environment["PATH"] = os.pathsep.join(
    [bin_dir, config.llvm_tools_dir, config.environment.get("PATH", "")]
)
config.environment["FILECHECK_OPTS"] = "--enable-var-scope"
for name in ("HOME", "CCACHE_DIR", "CCACHE_DISABLE", "SQ_LD", "CUDA_HOME", "CUDA_PATH"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
# The level a test wants is the one it names, never the caller's.
config.environment.pop("SQ_CPU", None)

config.substitutions += [
    ("%source", config.sq_source_dir),
    ("%exits", "sh " + os.path.join(config.sq_source_dir, "test", "exits.sh")),
    ("%binary", config.sq_binary_dir),
    ("%models", os.path.join(config.test_source_root, "models")),
]

# A feature that is missing here, and what would bring it: tests that need it
# are skipped, and `make test` prints this reason (see summarize-tests.py).
missing = {}


def feature(name, present, remedy):
    if present:
        config.available_features.add(name)
    else:
        missing[name] = remedy


# Larger models (classifier, language model): never required.
models = (
    os.environ.get("SQ_MODELS")
    or config.sq_models
    or os.path.join(config.sq_source_dir, "..", "shared", "models")
)
feature(
    "models",
    os.path.isfile(os.path.join(models, "minilm", "reference.json")),
    "no larger models in %s; set SQ_MODELS" % os.path.normpath(models),
)
if "models" in config.available_features:
    config.environment["SQ_MODELS"] = os.path.abspath(models)
    config.substitutions.append(("%shared_models", os.path.abspath(models)))

# MiniLM with its weights, as fetch-minilm.sh leaves it.
minilm = os.environ.get("SQ_MINILM") or os.path.join(config.sq_source_dir, ".deps", "minilm")
feature(
    "minilm",
    os.path.isfile(os.path.join(minilm, "model.safetensors")),
    "no MiniLM weights in %s; run tools/scripts/fetch-minilm.sh" % minilm,
)
if "minilm" in config.available_features:
    config.environment["SQ_MINILM"] = os.path.abspath(minilm)
    config.substitutions.append(("%minilm", os.path.abspath(minilm)))

onnx_tests = "/usr/share/libonnx-testdata/data/node"
feature(
    "onnx-testdata", os.path.isdir(onnx_tests), "install the Debian package libonnx-testdata"
)
config.substitutions.append(("%onnx_node_tests", onnx_tests))

# Those of the onnx that sq is built with, which are newer.
onnx_source_tests = os.path.join(
    config.sq_source_dir, ".deps", "onnx-1.22.0", "onnx", "backend", "test", "data", "node"
)
feature(
    "onnx-source", os.path.isdir(onnx_source_tests), "no onnx source in .deps; run make deps"
)
config.substitutions.append(("%onnx_source_tests", onnx_source_tests))

try:
    with open("/proc/cpuinfo") as f:
        cpu = set(re.search(r"^flags\s*:(.*)$", f.read(), re.M).group(1).split())
except (OSError, AttributeError):
    cpu = set()
feature("x86-64-v3", {"avx2", "fma", "bmi2", "f16c"} <= cpu, "this CPU lacks AVX2 or FMA")
feature(
    "avx512",
    {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= cpu,
    "this CPU lacks AVX-512",
)
if "amx_bf16" in cpu:
    config.available_features.add("amx-bf16")
feature(
    "ptxas",
    any(
        os.access(os.path.join(folder, "ptxas"), os.X_OK)
        for folder in [
            os.path.join(os.environ.get("CUDA_HOME", "/nowhere"), "bin"),
            os.path.join(os.environ.get("CUDA_PATH", "/nowhere"), "bin"),
            "/usr/local/cuda/bin",
            os.path.join(config.sq_source_dir, ".deps", "cuda", "bin"),
        ]
        + os.environ.get("PATH", "").split(os.pathsep)
    ),
    "no ptxas; run tools/scripts/fetch-ptxas.sh",
)
# The driver of the GPU emulator: `env LD_LIBRARY_PATH=%cuda_emulator sq-run ...`
config.substitutions.append(
    ("%cuda_emulator", os.path.join(config.sq_binary_dir, "test", "cuda", "lib"))
)
feature("cuda-gpu", os.path.exists("/dev/nvidia0"), "no NVIDIA GPU")

# A browser for reports.
chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
feature("chromium", chromium is not None, "no browser; install the Debian package chromium")
config.substitutions.append(("%chromium", chromium or "chromium"))

# Tests that measure memory or time say `UNSUPPORTED: asan`.
feature("asan", config.sq_sanitize, "not a sanitized build; SQ_PRESET=sanitize make test")

os.makedirs(config.test_exec_root, exist_ok=True)
with open(os.path.join(config.test_exec_root, "missing-features.txt"), "w") as f:
    f.writelines("%s\t%s\n" % item for item in sorted(missing.items()))

if os.environ.get("SQ_OPT_VERIFY_ROUNDTRIP"):
    # Only the tool's name standing alone: neither a path nor another tool.
    config.substitutions.append((r"(?<![-\w./])sq-opt(?![-\w./])", "sq-opt --verify-roundtrip"))
