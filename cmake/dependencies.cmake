# Third-party libraries (docs/adr/0003-dependencies.md). Only what cannot be missing is linked;
# libxgboost (training) is opened at run time, so a machine without it still serves.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
# Headers only: the library is opened when the first remote model is (docs/adr/0015-remote-servers-by-libcurl.md).
pkg_check_modules(CURL REQUIRED libcurl)
