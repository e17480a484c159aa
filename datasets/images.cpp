// MNIST-like directories of IDX files: from bytes straight to scaled inputs and one-hot targets.
#include "datasets/images.hpp"

#include <array>
#include <string>
#include <string_view>

#include "datasets/detail/idx_file.hpp"

namespace xg::datasets {

using xg::detail::text;

namespace {

constexpr std::int64_t classes = 10;

// A kind of data set in this form: how errors call it, and what they add about missing files.
struct Kind {
  std::string_view operation, hint;
};

detail::Source open(const Kind& kind, const std::filesystem::path& directory,
                    const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    const std::filesystem::path path = directory / (name + suffix);
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return detail::Source(kind.operation, path);
  }
  throw FileError(text("[", kind.operation, "] ", directory.string(), ": there is neither ", name,
                       " nor ", name, ".gz", kind.hint));
}

detail::IdxFile read_bytes(detail::Source& source, std::size_t rank) {
  detail::IdxFile file = detail::read_idx_file(source);
  if (file.type != detail::IdxType::unsigned_byte || file.shape.size() != rank)
    source.fail(text("expected unsigned bytes (IDX type 8) with ", rank, " axes, got IDX type ",
                     static_cast<int>(file.type), " with the shape ", file.shape));
  return file;
}

Tensor read_inputs(detail::Source source, DType dtype) {
  const detail::IdxFile file = read_bytes(source, 3);
  const auto pixels = static_cast<std::int64_t>(file.content.size());
  if (pixels == 0) source.fail(text("expected images, got the shape ", file.shape));
  Tensor result = Tensor::uninitialised({file.shape[0], pixels / file.shape[0]}, dtype);
  visit_floating(dtype, [&]<class T>(T) {
    std::array<T, 256> scaled;
    for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] = static_cast<T>(i) / T{255};
    T* out = result.exclusive_data<T>();
    for (const unsigned char pixel : file.content) *out++ = scaled[pixel];
  });
  return result;
}

Tensor read_labels(detail::Source source, std::int64_t images) {
  const detail::IdxFile file = read_bytes(source, 1);
  if (file.shape[0] != images)
    source.fail(text("expected a label for each of ", images, " images, got ", file.shape[0]));
  Tensor result = Tensor::uninitialised(file.shape, DType::int64);
  std::int64_t* out = result.exclusive_data<std::int64_t>();
  for (std::size_t i = 0; i < file.content.size(); ++i) {
    if (file.content[i] >= classes)
      source.fail(text("expected labels from 0 to ", classes - 1, ", got ",
                       static_cast<int>(file.content[i]), " at position ", i));
    *out++ = file.content[i];
  }
  return result;
}

Dataset read_part(const Kind& kind, const std::filesystem::path& directory, const std::string& part,
                  DType dtype) {
  Dataset result;
  result.inputs = read_inputs(open(kind, directory, part + "-images-idx3-ubyte"), dtype);
  result.labels =
      read_labels(open(kind, directory, part + "-labels-idx1-ubyte"), result.inputs.shape()[0]);
  result.targets = one_hot_targets(result.labels, classes, dtype);
  return result;
}

Split read_directory(const Kind& kind, const std::filesystem::path& directory, DType dtype) {
  if (!is_floating(dtype))
    throw DTypeError(text("[", kind.operation, "] expected float32 or float64, got ", dtype));
  Split result{read_part(kind, directory, "train", dtype),
               read_part(kind, directory, "t10k", dtype)};
  const std::int64_t train = result.train.inputs.shape()[1], test = result.test.inputs.shape()[1];
  if (train != test)
    throw FileError(text("[", kind.operation, "] ", directory.string(),
                         ": expected images of one size, got ", train, " pixels for training and ",
                         test, " for testing"));
  return result;
}

}  // namespace

Split mnist(const std::filesystem::path& directory, DType dtype) {
  return read_directory({"mnist", ""}, directory, dtype);
}

Split fashion_mnist(const std::filesystem::path& directory, DType dtype) {
  return read_directory({"fashion_mnist",
                         "; Debian's package dataset-fashion-mnist installs Fashion-MNIST in "
                         "/usr/share/datasets/fashion-mnist"},
                        directory, dtype);
}

}  // namespace xg::datasets
