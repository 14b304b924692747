# Aliases for the two commands; the build itself is CMake's.
.PHONY: demo test
demo:
	./scripts/demo
test:
	./scripts/test
