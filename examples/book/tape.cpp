// What a tape records, and the chain rule read off it: one neuron, one example, quadratic cost.
#include <autograd/autograd.hpp>
#include <cstdio>
#include <iostream>

using namespace xg;

int main() {
  // the neuron with which chapter 3 of the book begins: its output should be 0, and is 0.82
  const Tensor x = 1.0, y = 0.0, w = 0.6, b = 0.9;

  Tape tape;
  const Tensor u = w * x;
  const Tensor z = u + b;
  const Tensor a = sigmoid(z);
  const Tensor e = a - y;
  const Tensor C = 0.5 * square(e);
  std::cout << "the tape after the cost was computed\n" << tape;

  const auto derivatives = gradient(C, {e, a, z, u, b, w});
  std::cout << "\nthe tape after its derivatives were\n" << tape;

  std::cout << "\n     value  derivative of C\n";
  const char* const names[] = {"e", "a", "z", "u", "b", "w"};
  const Tensor values[] = {e, a, z, u, b, w};
  for (std::size_t i = 0; i < derivatives.size(); ++i)
    std::printf("%s  %8.4f  %8.4f\n", names[i], values[i].item(), derivatives[i].item());
}
