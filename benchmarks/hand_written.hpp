// Backpropagation written by hand for speed: what the tape is measured against. Same BLAS, buffers
// allocated once, bias and activation in one loop, the update as a pass of its own.
#pragma once

#include <cblas.h>

#include <cmath>
#include <cstdint>
#include <vector>
#include <xsimd/xsimd.hpp>

namespace hand_written {

using V = xsimd::batch<float>;
constexpr std::size_t lanes = V::size;

/// A vector of floats with room for a whole batch after the last.
class Array {
 public:
  explicit Array(std::size_t size = 0) : values_(size + lanes), size_(size) {}
  float* data() { return values_.data(); }
  const float* data() const { return values_.data(); }
  std::size_t size() const { return size_; }
  float& operator[](std::size_t i) { return values_[i]; }

 private:
  std::vector<float, xsimd::aligned_allocator<float, 64>> values_;
  std::size_t size_;
};

struct Sigmoid {
  static V value(V z) { return V(1) / (V(1) + xsimd::exp(-z)); }
  static V slope(V a) { return a * (V(1) - a); }
};
struct Relu {
  static V value(V z) { return xsimd::max(z, V(0)); }
  static V slope(V a) { return xsimd::select(a > V(0), V(1), V(0)); }
};

/// Dense layers with one hidden activation. The output is the same activation with quadratic cost,
/// or, if `softmax`, softmax with log-likelihood.
template <class Activation, bool softmax>
class Network {
 public:
  struct Layer {
    std::size_t in, out;
    Array w, b, gw, gb, a, delta;
  };

  Network(const std::vector<std::size_t>& sizes, std::size_t batch) : batch_(batch) {
    for (std::size_t l = 1; l < sizes.size(); ++l) {
      const std::size_t in = sizes[l - 1], out = sizes[l];
      layers_.push_back({in, out, Array(in * out), Array(out), Array(in * out), Array(out),
                         Array(batch * out), Array(batch * out)});
    }
  }
  std::vector<Layer>& layers() { return layers_; }

  /// One step of gradient descent; gives the cost before it.
  double step(const float* x, const float* y, float rate) {
    const int m = static_cast<int>(batch_);
    const float* a = x;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      Layer& layer = layers_[l];
      const int in = static_cast<int>(layer.in), out = static_cast<int>(layer.out);
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, out, in, 1.0f, a, in, layer.w.data(),
                  in, 0.0f, layer.a.data(), out);
      const bool last = l + 1 == layers_.size();
      for (std::size_t e = 0; e < batch_; ++e) {
        float* row = layer.a.data() + e * layer.out;
        for (std::size_t j = 0; j < layer.out; j += lanes) {
          const V z = V::load_unaligned(row + j) + V::load_unaligned(layer.b.data() + j);
          const V f = softmax && last ? z : Activation::value(z);
          if (j + lanes <= layer.out)
            f.store_unaligned(row + j);
          else
            store_first(row + j, f, layer.out - j);
        }
      }
      a = layer.a.data();
    }
    const double cost = output_error(y);
    for (std::size_t l = layers_.size(); l-- > 0;) {
      Layer& layer = layers_[l];
      const float* before = l == 0 ? x : layers_[l - 1].a.data();
      const int in = static_cast<int>(layer.in), out = static_cast<int>(layer.out);
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, out, in, m, 1.0f, layer.delta.data(),
                  out, before, in, 0.0f, layer.gw.data(), in);
      for (std::size_t j = 0; j < layer.out; ++j) layer.gb[j] = 0;
      for (std::size_t e = 0; e < batch_; ++e)
        for (std::size_t j = 0; j < layer.out; ++j) layer.gb[j] += layer.delta[e * layer.out + j];
      if (l == 0) break;
      Layer& below = layers_[l - 1];
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, in, out, 1.0f, layer.delta.data(),
                  out, layer.w.data(), in, 0.0f, below.delta.data(), in);
      for (std::size_t i = 0; i < batch_ * below.out; i += lanes)
        (V::load_unaligned(below.delta.data() + i) *
         Activation::slope(V::load_unaligned(below.a.data() + i)))
            .store_unaligned(below.delta.data() + i);
    }
    for (Layer& layer : layers_) {
      update(layer.w, layer.gw, rate);
      update(layer.b, layer.gb, rate);
    }
    return cost;
  }

 private:
  static void store_first(float* to, V v, std::size_t count) {
    alignas(64) float lane[lanes];
    v.store_aligned(lane);
    for (std::size_t i = 0; i < count; ++i) to[i] = lane[i];
  }
  static void update(Array& w, const Array& g, float rate) {
    for (std::size_t i = 0; i < w.size(); i += lanes)
      (V::load_unaligned(w.data() + i) - V(rate) * V::load_unaligned(g.data() + i))
          .store_unaligned(w.data() + i);
  }
  double output_error(const float* y) {
    Layer& layer = layers_.back();
    const float share = 1 / static_cast<float>(batch_);
    double cost = 0;
    for (std::size_t e = 0; e < batch_; ++e) {
      float *a = layer.a.data() + e * layer.out, *d = layer.delta.data() + e * layer.out;
      const float* t = y + e * layer.out;
      if constexpr (softmax) {
        float largest = a[0], total = 0;
        for (std::size_t j = 1; j < layer.out; ++j) largest = std::max(largest, a[j]);
        for (std::size_t j = 0; j < layer.out; ++j) total += d[j] = std::exp(a[j] - largest);
        const float log_total = std::log(total);
        for (std::size_t j = 0; j < layer.out; ++j) {
          cost -= t[j] * (a[j] - largest - log_total) * share;
          d[j] = (d[j] / total - t[j]) * share;
        }
      } else {
        for (std::size_t j = 0; j < layer.out; ++j) {
          const float r = a[j] - t[j];
          cost += 0.5f * r * r * share;
          d[j] = r * share;
        }
      }
    }
    if constexpr (!softmax)
      for (std::size_t i = 0; i < batch_ * layer.out; i += lanes)
        (V::load_unaligned(layer.delta.data() + i) *
         Activation::slope(V::load_unaligned(layer.a.data() + i)))
            .store_unaligned(layer.delta.data() + i);
    return cost;
  }

  std::size_t batch_;
  std::vector<Layer> layers_;
};

/// [2, 8, 1] with tanh and quadratic cost, one example a step, in plain loops.
struct Tiny {
  float w1[8][2], b1[8], w2[8], b2;

  float step(const float* x, float y, float rate) {
    float h[8], a = b2;
    for (int j = 0; j < 8; ++j) {
      h[j] = std::tanh(w1[j][0] * x[0] + w1[j][1] * x[1] + b1[j]);
      a += w2[j] * h[j];
    }
    a = std::tanh(a);
    const float delta = (a - y) * (1 - a * a);
    for (int j = 0; j < 8; ++j) {
      const float back = w2[j] * delta * (1 - h[j] * h[j]);
      w2[j] -= rate * delta * h[j];
      w1[j][0] -= rate * back * x[0];
      w1[j][1] -= rate * back * x[1];
      b1[j] -= rate * back;
    }
    b2 -= rate * delta;
    return 0.5f * (a - y) * (a - y);
  }
};

}  // namespace hand_written
