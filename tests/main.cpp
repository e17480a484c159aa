// Catch2's main function (version 2; version 3 brings its own).
#define CATCH_CONFIG_MAIN
#include "tests/support/catch.hpp"
