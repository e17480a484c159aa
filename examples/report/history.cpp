// The measures are taken on tapes of their own, from values that the training only lends.
#include "report/history.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "nn/nn.hpp"

using namespace xg;

namespace {

constexpr std::int64_t probe_examples = 1000;  // as in chapter 5 of the book
constexpr std::int64_t early_epochs = 3, measures_of_early_epoch = 10;
constexpr std::int64_t chunk = 500;  // fits the cache

datasets::Dataset spread(const datasets::Dataset& data, std::int64_t count) {
  if (data.size() <= count) return data;
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < count; ++i) rows.push_back(i * data.size() / count);
  return data.take(rows);
}

double norm(const Tensor& t) { return std::sqrt(squared_norm(cast(t, DType::float64)).item()); }

}  // namespace

History::History(Watched watched)
    : watched_(std::move(watched)), probe_(spread(watched_.training, probe_examples)) {
  measure(0);
}

void History::after(std::int64_t examples) {
  if (examples >= due_) measure(examples);
}

void History::end(std::int64_t examples) {
  if (examples > last_) measure(examples);
}

void History::measure(std::int64_t examples) {
  const std::int64_t epoch = watched_.training.size();
  const double now = static_cast<double>(examples) / static_cast<double>(epoch);
  last_ = examples;
  const std::int64_t parts = examples < early_epochs * epoch ? measures_of_early_epoch : 1;
  const std::int64_t next = examples * parts / epoch + 1;
  due_ = (next * epoch + parts - 1) / parts;

  const auto [cost, gradients] =
      value_and_gradient([&] { return watched_.cost(probe_); }, watched_.parameters);
  const auto share_right = [&](std::int64_t correct, const datasets::Dataset& data) {
    return static_cast<double>(correct) / static_cast<double>(data.size());
  };
  const std::int64_t right = nn::count_correct(watched_.outputs(probe_.inputs), probe_.labels);
  training_.push_back({now, cost.item(), share_right(right, probe_)});
  Norms norms;
  for (std::size_t l = 0; l + 1 < gradients.size(); l += 2) {
    norms.weight.push_back(norm(gradients[l]));
    norms.bias.push_back(norm(gradients[l + 1]));
  }
  norms_.push_back(norms);

  double total = 0;
  std::int64_t correct = 0;
  for (const auto& batch :
       datasets::Loader{watched_.test, {.batch_size = chunk, .shuffle = false}}) {
    total += watched_.cost(batch).item() * static_cast<double>(batch.size());
    correct += nn::count_correct(watched_.outputs(batch.inputs), batch.labels);
  }
  test_.push_back({now, total / static_cast<double>(watched_.test.size()),
                   share_right(correct, watched_.test)});
}

History::Answers History::answers() const {
  Answers result;
  const auto classes = static_cast<std::size_t>(watched_.test.targets.extent(1));
  result.confusion.assign(classes, std::vector<std::int64_t>(classes));
  std::int64_t first = 0;
  for (const auto& batch :
       datasets::Loader{watched_.test, {.batch_size = chunk, .shuffle = false}}) {
    const Tensor outputs = watched_.outputs(batch.inputs);
    if (!std::isfinite(norm(outputs))) return {.finite = false, .confusion = {}, .mistakes = {}};
    const Tensor answers = argmax(outputs, -1);
    const auto answer = answers.values<std::int64_t>(), label = batch.labels.values<std::int64_t>();
    for (std::size_t i = 0; i < answer.size(); ++i) {
      ++result.confusion[static_cast<std::size_t>(label[i])][static_cast<std::size_t>(answer[i])];
      if (answer[i] == label[i]) continue;
      const auto row = static_cast<std::int64_t>(i);
      const double cost = watched_.cost(batch.slice(row, row + 1)).item();
      result.mistakes.push_back(
          {first + row, label[i], answer[i],
           std::isnan(cost) ? std::numeric_limits<double>::infinity() : cost});
    }
    first += batch.size();
  }
  std::stable_sort(result.mistakes.begin(), result.mistakes.end(),
                   [](const Mistake& a, const Mistake& b) { return a.cost > b.cost; });
  return result;
}
