// The data sets of small grey images on which networks are traditionally tried.
#pragma once

#include <filesystem>

#include "datasets/dataset.hpp"

namespace xg::datasets {

/// Handwritten digits of 8x8 pixels: 1438 examples to train on, 359 to test with. Inputs are
/// (n, 64) in 0 .. 1, targets one-hot (n, 10). Part of this library: needs no file. Every fifth
/// example of the original file (number i, from 0, with i % 5 == 4) is for testing. Throws
/// DTypeError for int64. Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten
/// Digits", UCI Machine Learning Repository (1998), CC BY 4.0.
Split digits(DType dtype = DType::float32);

/// MNIST, or any data set in its form: the files {train,t10k}-{images-idx3,labels-idx1}-ubyte in
/// `directory`, plain or with ".gz". Inputs are (n, 784) in 0 .. 1 (pixel / 255), targets one-hot
/// (n, 10), in the order of the files. Throws DTypeError for int64; FileError for a missing or
/// damaged file, for images and labels that differ in number, for a label over 9, and for training
/// and test images that differ in size.
Split mnist(const std::filesystem::path& directory, DType dtype = DType::float32);

/// Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, 2017), from where Debian's package
/// dataset-fashion-mnist puts it. The same form and errors as mnist().
Split fashion_mnist(const std::filesystem::path& directory = "/usr/share/datasets/fashion-mnist",
                    DType dtype = DType::float32);

}  // namespace xg::datasets
