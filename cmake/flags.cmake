# Compiler and linker flags, in one interface target that every layer links.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g") # no -DNDEBUG: PX_ASSERT stays in release builds
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

add_library(px_flags INTERFACE)
target_compile_definitions(px_flags INTERFACE _GNU_SOURCE PX_VERSION="${PROJECT_VERSION}")
# Scores must not depend on the compiler: a fused multiply-add rounds once where two operations
# round twice (docs/adr/0004-exact-numerics.md).
target_compile_options(px_flags INTERFACE
    -include ${CMAKE_SOURCE_DIR}/src/shared/banned.h
    -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/= # logs and asserts name src/..., not where it was built
    -ffp-contract=off -fno-common -fno-omit-frame-pointer -fno-math-errno
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wcast-align -Wcast-qual
    -Wwrite-strings -Wundef -Wvla -Walloca -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum
    -Wnull-dereference -Wdate-time -Werror)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(px_flags INTERFACE
        -Wno-format-truncation -Wlogical-op -Wduplicated-cond -Wduplicated-branches
        -Wjump-misses-init -Wcast-align=strict -Wtrampolines -Walloc-zero -Wformat-signedness
        -Wdouble-promotion # not for clang, which counts every `double x = NAN` (a float in glibc)
        -ftrivial-auto-var-init=zero)
else()
    target_compile_options(px_flags INTERFACE
        -Wcomma -Wloop-analysis -Wshift-sign-overflow)
endif()
if(PX_SANITIZE)
    target_compile_options(px_flags INTERFACE
        -fsanitize=${PX_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(px_flags INTERFACE -fsanitize=${PX_SANITIZE})
    # The sanitizers' instrumentation makes gcc see null paths that do not exist.
    target_compile_options(px_flags INTERFACE -Wno-null-dereference)
else()
    target_compile_options(px_flags INTERFACE
        -fstack-protector-strong -fstack-clash-protection -fcf-protection=full)
    target_compile_definitions(px_flags INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=3>)
endif()
target_link_options(px_flags INTERFACE
    -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
if(PX_FUZZ)
    # A fuzzer is for finding faults; warnings are for the builds that are shipped and linted.
    target_compile_options(px_flags INTERFACE -fsanitize=fuzzer-no-link -Wno-error)
endif()
