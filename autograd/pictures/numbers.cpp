// The numbers in a picture: values as far as the tape knows them, norms of adjoints, and both in
// few words.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "autograd/equations/trial.hpp"
#include "autograd/op.hpp"
#include "autograd/ops.hpp"
#include "autograd/pictures/picture.hpp"

namespace xg::pictures {

using detail::text;

namespace {

/// The root of the sum of squares, without overflow on the way.
template <class T>
double norm(std::span<const T> values) {
  double largest = 0, sum = 0;
  for (const T v : values) {
    const double size = std::abs(static_cast<double>(v));
    if (std::isnan(size)) return size;
    largest = std::max(largest, size);
  }
  if (largest == 0 || std::isinf(largest)) return largest;
  for (const T v : values) {
    const double part = static_cast<double>(v) / largest;
    sum += part * part;
  }
  return largest * std::sqrt(sum);
}

/// With the minus sign that the equations beside it have.
std::string signed_text(const std::string& digits) {
  return digits.starts_with('-') ? "−" + digits.substr(1) : digits;
}

template <class T>
std::string written(T value) {
  if constexpr (std::is_integral_v<T>)
    return signed_text(std::to_string(value));
  else
    return brief(static_cast<double>(value));
}

/// "from … to, mean m" of the finite elements, and how many others there are.
template <class T>
std::string spread(std::span<const T> values) {
  T low = std::numeric_limits<T>::max(), high = std::numeric_limits<T>::lowest();
  std::size_t nans = 0, infinite = 0;
  double mean = 0, count = 0;  // the mean so far; a sum could overflow
  for (const T v : values) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(v)) ++nans;
      if (std::isinf(v)) ++infinite;
      if (!std::isfinite(v)) continue;
    }
    low = std::min(low, v);
    high = std::max(high, v);
    mean += (static_cast<double>(v) - mean) / ++count;
  }
  std::string result;
  const auto add = [&](const std::string& part) { result += (result.empty() ? "" : ", ") + part; };
  if (count > 0) add(written(low) + " … " + written(high));
  if (count > 0 && std::is_floating_point_v<T>) add("mean " + brief(mean));
  if (nans > 0) add(text(nans, " NaN"));
  if (infinite > 0) add(text(infinite, " inf"));
  return result;
}

}  // namespace

std::string brief(double value) {
  if (std::isnan(value)) return "NaN";
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, 3).ptr;
  return signed_text({buffer, end});
}

std::string summary(const Tensor& tensor) {
  if (!tensor.defined()) return "values not kept";
  if (tensor.size() == 0) return "no elements";
  return visit_dtype(tensor.dtype(), [&]<class T>(T) {
    const std::span<const T> values = tensor.values<T>();
    if (values.size() > 4) return spread(values);
    std::string list;
    for (const T v : values) list += (list.empty() ? "" : ", ") + written(v);
    return tensor.rank() == 0 ? list : "[" + list + "]";
  });
}

std::vector<Tensor> values_of(const detail::TapeMemory& m, const algebra::Graph& graph,
                              const Tensor& loss, std::span<const ParameterRef> parameters) {
  std::vector<Tensor> values(graph.size());
  const Tape& tape = detail::TapeReader::of(loss, "graph");
  for (const ParameterRef& p : parameters)
    values[detail::TapeReader::find(tape, p.value(), "graph")] = p.value();
  values.back() = loss;
  for (std::size_t n = 0; n < graph.size(); ++n) {
    const detail::Node& node = m.nodes[n];
    if (!graph[n].value || values[n].defined()) continue;
    values[n] = detach(node.output);
    if (values[n].defined() || graph[n].leaf) continue;
    std::vector<const Tensor*> inputs;
    for (const std::size_t input : graph[n].inputs) inputs.push_back(&values[input]);
    if (std::all_of(inputs.begin(), inputs.end(), [](const Tensor* t) { return t->defined(); }))
      values[n] = node.op->apply(node.op_state, Inputs(inputs.data(), inputs.size()));
  }
  return values;
}

std::vector<double> norms_of(const detail::TapeMemory& m, const algebra::Graph& graph,
                             const Tensor& loss) {
  std::vector<std::size_t> nodes;
  std::vector<const Tensor*> wrt;
  for (std::size_t n = 0; n < graph.size(); ++n)
    if (graph[n].needed) {
      nodes.push_back(n);
      wrt.push_back(&m.nodes[n].output);
    }
  std::vector<Tensor> adjoints(nodes.size());
  pull_back(loss, ones(loss.shape(), loss.dtype()), Inputs(wrt.data(), wrt.size()), adjoints,
            "graph");
  std::vector<double> norms(graph.size(), 0);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (adjoints[i].defined())
      norms[nodes[i]] = visit_floating(adjoints[i].dtype(), [&]<class T>(T) {
        return norm(std::span<const T>(adjoints[i].values<T>()));
      });
  return norms;
}

}  // namespace xg::pictures
