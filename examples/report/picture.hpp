// Small pictures as PNG, written by libpng, for the src of an <img>.
#pragma once

#include <cstdint>
#include <span>
#include <string>

/// Values 0 .. 1, row by row, as ink on nothing: black, 0 being transparent.
std::string ink_picture(std::span<const double> values, std::int64_t width);

/// Values −1 .. 1, row by row: orange above zero, blue below, 0 being transparent.
std::string signed_picture(std::span<const double> values, std::int64_t width);
