// What the backward pass needs memory for, and how checkpoints save it: a deep network, kept and
// computed again.
#include <autograd/autograd.hpp>
#include <cstdio>
#include <nn/nn.hpp>

using namespace xg;

int main() {
  std::vector<nn::Sequential> layers;
  ParameterRefs parameters;
  for (std::uint64_t l = 0; l < 100; ++l) {
    layers.emplace_back(nn::Dense(32, 32, {.seed = l}), nn::Tanh{});
    for (const ParameterRef& p : layers.back().parameters()) parameters.push_back(p);
  }
  const Tensor x = random_normal({512, 32}, Key{1}), y = random_normal({512, 32}, Key{2});

  const auto gradient_of = [&](const char* name, auto&& network) {
    Tape tape;
    const Tensor cost = nn::quadratic_cost(network(), y);
    const auto kept = tape.bytes_kept();  // of buffers that wait for the backward pass
    const NoRecording scope;              // the backward pass is not to be differentiated again
    std::vector<Tensor> g = gradient(cost, parameters);
    const auto peak = tape.peak_bytes();  // the most that was alive at one time
    std::printf("%-22s %5.2f MB kept, %5.2f MB at the peak\n", name,
                static_cast<double>(kept) / 1e6, static_cast<double>(peak) / 1e6);
    return g;
  };

  const std::vector<Tensor> plain = gradient_of("everything kept", [&] {
    Tensor h = x;
    for (const nn::Sequential& layer : layers) h = layer(h);
    return h;
  });

  const std::vector<Tensor> saved =
      gradient_of("in 10 segments of 10", [&] { return checkpoint_sequential(layers, x); });

  // One part of a function: the tape keeps its argument, and calls it again.
  const std::vector<Tensor> partly = gradient_of("the first half once", [&] {
    Tensor h = checkpoint(
        [&](const Tensor& v) {
          Tensor a = v;
          for (std::size_t l = 0; l < 50; ++l) a = layers[l](a);
          return a;
        },
        x);
    for (std::size_t l = 50; l < 100; ++l) h = layers[l](h);
    return h;
  });

  // A mask is drawn again as it was, because its key is the same.
  const Tensor w = random_normal({32, 32}, Key{3});
  const auto dropout = [key = Key{4}](const Tensor& h) {
    return 2 * h * (random_uniform(h.shape(), key) < 0.5);
  };
  const Tensor g = gradient(
      [&](const Tensor& v) {
        return sum(checkpoint([&](const Tensor& h) { return dropout(sigmoid(matmul(h, v))); }, x));
      },
      w);

  bool same = identical(
      g, gradient([&](const Tensor& v) { return sum(dropout(sigmoid(matmul(x, v)))); }, w));
  for (std::size_t k = 0; k < plain.size(); ++k)
    same = same && identical(plain[k], saved[k]) && identical(plain[k], partly[k]);
  std::printf("the gradients are %s\n", same ? "the same, bit for bit" : "different");
  return same ? 0 : 1;
}
