// A palette of 63 steps of opacity keeps the pictures small, and right on light and dark pages.
#include "report/picture.hpp"

#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "autograd/error.hpp"

namespace {

constexpr int steps = 63;  // an odd number, so that zero is one of them
using Palette = std::array<std::array<std::uint8_t, 4>, steps>;

std::string base64(const std::vector<std::uint8_t>& bytes) {
  static constexpr char letters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t here = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < here ? bytes[i + j] : std::uint8_t{0});
    for (std::size_t j = 0; j < 4; ++j)
      result += j <= here ? letters[group >> (18 - 6 * j) & 63] : '=';
  }
  return result;
}

/// Values 0 .. 1 choose from the palette.
std::string data_uri(std::span<const double> values, std::int64_t width, const Palette& palette) {
  std::vector<std::uint8_t> pixels;
  for (const double v : values)
    pixels.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(v, 0.0, 1.0) * (steps - 1))));
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.format = PNG_FORMAT_RGBA_COLORMAP;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(static_cast<std::int64_t>(values.size()) / width);
  image.colormap_entries = steps;
  std::vector<std::uint8_t> file(PNG_IMAGE_PNG_SIZE_MAX(image));
  png_alloc_size_t size = file.size();
  if (!png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, palette.data()))
    throw xg::ValueError(xg::detail::text("[picture] libpng failed: ", image.message));
  file.resize(size);
  return "data:image/png;base64," + base64(file);
}

}  // namespace

std::string ink_picture(std::span<const double> values, std::int64_t width) {
  Palette palette{};
  for (int i = 0; i < steps; ++i)
    palette[static_cast<std::size_t>(i)][3] = static_cast<std::uint8_t>(255 * i / (steps - 1));
  return data_uri(values, width, palette);
}

std::string signed_picture(std::span<const double> values, std::int64_t width) {
  Palette palette{};
  constexpr int middle = steps / 2;
  for (int i = 0; i < steps; ++i) {
    const auto opacity = static_cast<std::uint8_t>(255 * std::abs(i - middle) / middle);
    palette[static_cast<std::size_t>(i)] = i < middle
                                               ? std::array<std::uint8_t, 4>{30, 120, 230, opacity}
                                               : std::array<std::uint8_t, 4>{235, 110, 20, opacity};
  }
  std::vector<double> shifted(values.begin(), values.end());
  for (double& v : shifted) v = (v + 1) / 2;
  return data_uri(shifted, width, palette);
}
