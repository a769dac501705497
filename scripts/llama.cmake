# Read by CMake when llama.cpp is configured (.cargo/config.toml): leaves out its library of helpers for command lines, downloads
# and chat templates, which nothing here calls and which takes half of the time that llama.cpp takes to compile.
set(LLAMA_BUILD_COMMON OFF CACHE BOOL "" FORCE)
