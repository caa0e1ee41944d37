# Thin: what the targets do is in tools/scripts.
.PHONY: help deps build test demo bench format clean
.DEFAULT_GOAL := build

help:
	@echo "make build    install what is missing, build the tools into build/bin"
	@echo "make test     build and run every test (asan: SQ_PRESET=sanitize make test)"
	@echo "make demo     all-MiniLM-L6-v2 from ONNX to minilm.so: run, compare, time, search"
	@echo "make bench    compare with onnxruntime and OpenVINO, write bench/README.md"
	@echo "make format   clang-format over the sources"
	@echo "make clean    remove the build folders (.deps stays)"

deps:
	@tools/scripts/install-deps.sh

build: deps
	@tools/scripts/build.sh

test: build
	@tools/scripts/test.sh

demo: build
	@tools/scripts/demo.sh

bench: build
	@bench/run.sh

format:
	@git ls-files '*.h' '*.cpp' | xargs clang-format-22 -i

clean:
	rm -rf build build-sanitize build-gcc build-fuzz
