// Which nodes of a graph repeat: equal blocks one after the other, found by structure alone.
#include <algorithm>

#include "autograd/pictures/picture.hpp"

namespace xg::pictures {

namespace {

constexpr std::size_t fewest = 3;           // blocks that are worth folding
constexpr std::size_t longest = 256;        // nodes of a block
constexpr std::size_t most_loose_ends = 4;  // uses of blocks before the last from behind the run

/// Items `n` and `n + length` look the same, and each input moved on by a block or stayed.
bool alike(const std::vector<Item>& items, std::size_t n, std::size_t length) {
  const Item &a = items[n], &b = items[n + length];
  if (a.kind != b.kind || a.inputs.size() != b.inputs.size()) return false;
  for (std::size_t i = 0; i < a.inputs.size(); ++i)
    if (b.inputs[i] != a.inputs[i] && b.inputs[i] != a.inputs[i] + length) return false;
  return true;
}

/// As many blocks from `run.first` on as do in all things what the first two do, at most
/// `run.count`.
std::size_t equal_blocks(const std::vector<Item>& items, const Run& run) {
  for (std::size_t n = run.first + run.length; n < run.end(); ++n) {
    const Item &item = items[n], &before = items[n - run.length];
    for (std::size_t i = 0; i < item.inputs.size(); ++i) {
      const bool stayed = item.inputs[i] == before.inputs[i];
      const std::size_t place = run.first + run.place(n);
      const bool should_stay = items[place].inputs[i] == items[place + run.length].inputs[i];
      if (stayed != should_stay || (stayed && item.inputs[i] >= run.first)) return run.block(n);
    }
  }
  return run.count;
}

/// One use of a node in each of the blocks, as by a concatenation, is one.
std::size_t loose_ends(const std::vector<Item>& items, const Run& run) {
  std::size_t result = 0;
  for (std::size_t n = run.end(); n < items.size(); ++n)
    for (const std::size_t input : items[n].inputs)
      if (run.holds(input) && input < run.end() - run.length)
        result += !is_used_in_each(items, run, n, run.place(input)) || run.block(input) == 0;
  return result;
}

/// The best run of blocks of `length` within [first, end): beginning, if possible, where something
/// new comes in, as the weights of a layer do.
Run settled(const std::vector<Item>& items, std::size_t first, std::size_t end,
            std::size_t length) {
  const auto comes_in = [&](std::size_t n) {
    return items[n].leaf && (n == 0 || !items[n - 1].leaf);
  };
  for (const bool anywhere : {false, true})
    for (std::size_t s = first; s < first + length; ++s) {
      if (anywhere == comes_in(s)) continue;
      Run run{s, length, (end - s) / length};
      if (run.count < fewest) continue;
      run.count = equal_blocks(items, run);
      if (run.count >= fewest && loose_ends(items, run) <= most_loose_ends) return run;
    }
  return {first, length, 0};
}

}  // namespace

bool is_used_in_each(const std::vector<Item>& items, const Run& run, std::size_t user,
                     std::size_t place) {
  const std::vector<std::size_t>& inputs = items[user].inputs;
  for (std::size_t b = 0; b < run.count; ++b)
    if (std::find(inputs.begin(), inputs.end(), run.first + b * run.length + place) == inputs.end())
      return false;
  return true;
}

std::vector<Run> repeated_blocks(const std::vector<Item>& items) {
  struct Stretch {
    std::size_t first, end, length;
  };
  std::vector<Stretch> stretches;
  for (std::size_t length = 1; length <= std::min(longest, items.size() / fewest); ++length)
    for (std::size_t n = 0; n + length < items.size(); ++n) {
      const std::size_t first = n;
      while (n + length < items.size() && alike(items, n, length)) ++n;
      if (n - first >= (fewest - 1) * length) stretches.push_back({first, n + length, length});
    }
  // What saves most comes first.
  std::stable_sort(stretches.begin(), stretches.end(), [](const Stretch& a, const Stretch& b) {
    return a.end - a.first - a.length > b.end - b.first - b.length;
  });
  std::vector<Run> runs;
  for (const Stretch& s : stretches) {
    const auto overlaps = [&](std::size_t first, std::size_t end) {
      return std::any_of(runs.begin(), runs.end(), [&](const Run& other) {
        return first < other.end() && other.first < end;
      });
    };
    if (overlaps(s.first, s.end)) continue;
    if (const Run run = settled(items, s.first, s.end, s.length); run.count > 0)
      runs.push_back(run);
  }
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.first < b.first; });
  return runs;
}

}  // namespace xg::pictures
