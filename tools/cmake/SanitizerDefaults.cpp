// Linked into every program of a sanitized build. MLIR's shared libraries are
// not instrumented: containers that cross the border look overflowed, and LLVM's
// global objects are never freed.
extern "C" const char *__asan_default_options() {
  return "detect_container_overflow=0:detect_leaks=0";
}
extern "C" const char *__ubsan_default_options() { return "print_stacktrace=1"; }
