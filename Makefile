# Thin front of CMake; `make help` lists the targets.
all: build
.PHONY: all build
build:
	cmake --preset release >/dev/null
	cmake --build build
