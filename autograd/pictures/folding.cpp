// Which nodes of a graph repeat: equal blocks one after the other, found by structure alone.
#include <algorithm>

#include "autograd/pictures/picture.hpp"

namespace xg::pictures {

namespace {

constexpr std::size_t fewest = 3;           // blocks that are worth folding
constexpr std::size_t longest = 256;        // nodes of a block
constexpr std::size_t most_loose_ends = 4;  // uses of blocks before the last from behind the run

/// Finds runs, beginning with those that save most.
class Search {
 public:
  explicit Search(const std::vector<Item>& items) : items_(items) {}

  /// What repeats is looked for until nothing new is found: a run may go along one that was found
  /// before. If then one turns out to have too many loose ends, all begins anew without it.
  std::vector<Run> runs() {
    for (;;) {
      runs_.clear();
      taken_.assign(items_.size(), false);
      while (extend()) {
      }
      const auto bad = std::find_if(runs_.begin(), runs_.end(), [&](const Run& run) {
        return loose_ends(run) > most_loose_ends;
      });
      if (bad == runs_.end()) break;
      refused_.push_back(*bad);
    }
    std::sort(runs_.begin(), runs_.end(),
              [](const Run& a, const Run& b) { return a.first < b.first; });
    return std::move(runs_);
  }

 private:
  struct Stretch {
    std::size_t first, end, length;
  };

  const Run* run_of(std::size_t item) const {
    for (const Run& run : runs_)
      if (run.holds(item)) return &run;
    return nullptr;
  }

  /// Items `n` and `n + length` look the same, and each input stayed, or moved on by a block, of
  /// this run or of another that it comes from.
  bool alike(std::size_t n, std::size_t length) const {
    const Item &a = items_[n], &b = items_[n + length];
    if (taken_[n] || taken_[n + length]) return false;
    if (a.kind != b.kind || a.inputs.size() != b.inputs.size()) return false;
    for (std::size_t i = 0; i < a.inputs.size(); ++i) {
      const std::size_t from = a.inputs[i], to = b.inputs[i];
      if (to == from || to == from + length) continue;
      const Run* const source = run_of(from);
      if (!source || !source->holds(to) || to != from + source->length) return false;
    }
    return true;
  }

  /// As many blocks from `run.first` on as do in all things what the first two do, at most
  /// `run.count`.
  std::size_t equal_blocks(const Run& run) const {
    for (std::size_t n = run.first + run.length; n < run.end(); ++n) {
      const std::size_t place = run.first + run.place(n);
      for (std::size_t i = 0; i < items_[n].inputs.size(); ++i) {
        const std::size_t input = items_[n].inputs[i];
        const std::size_t step = input - items_[n - run.length].inputs[i];
        if (step != items_[place + run.length].inputs[i] - items_[place].inputs[i] ||
            (step == 0 && input >= run.first))
          return run.block(n);
      }
    }
    return run.count;
  }

  /// The best run within a stretch: beginning, if possible, where something new comes in, as the
  /// weights of a layer do.
  Run settled(const Stretch& s) const {
    for (const bool anywhere : {false, true})
      for (std::size_t first = s.first; first < s.first + s.length; ++first) {
        const bool comes_in = items_[first].leaf && (first == 0 || !items_[first - 1].leaf);
        Run run{first, s.length, (s.end - first) / s.length};
        if (anywhere == comes_in || run.count < fewest) continue;
        run.count = equal_blocks(run);
        if (run.count >= fewest) return run;
      }
    return {s.first, s.length, 0};
  }

  bool is_refused(const Stretch& s) const {
    return std::any_of(refused_.begin(), refused_.end(), [&](const Run& run) {
      return s.length % run.length == 0 && s.first < run.end() && run.first < s.end;
    });
  }

  /// Adds the runs that are there beside those known; whether there were any.
  bool extend() {
    std::vector<Stretch> stretches;
    for (std::size_t length = 1; length <= std::min(longest, items_.size() / fewest); ++length)
      for (std::size_t n = 0; n + length < items_.size(); ++n) {
        const std::size_t first = n;
        while (n + length < items_.size() && alike(n, length)) ++n;
        const Stretch s{first, n + length, length};
        if (n - first >= (fewest - 1) * length && !is_refused(s)) stretches.push_back(s);
      }
    std::stable_sort(stretches.begin(), stretches.end(), [](const Stretch& a, const Stretch& b) {
      return a.end - a.first - a.length > b.end - b.first - b.length;
    });
    bool found = false;
    for (const Stretch& s : stretches) {
      const auto begin = taken_.begin() + static_cast<std::ptrdiff_t>(s.first),
                 end = taken_.begin() + static_cast<std::ptrdiff_t>(s.end);
      if (std::find(begin, end, true) != end) continue;
      const Run run = settled(s);
      if (run.count == 0) continue;
      runs_.push_back(run);
      std::fill_n(taken_.begin() + static_cast<std::ptrdiff_t>(run.first), run.length * run.count,
                  true);
      found = true;
    }
    return found;
  }

  /// Uses, from behind the run, of blocks before the last. One use of a node in each of the blocks,
  /// as by a concatenation or by the blocks of another run, is one.
  std::size_t loose_ends(const Run& run) const {
    std::size_t result = 0;
    for (std::size_t n = run.end(); n < items_.size(); ++n) {
      const Run* const user = run_of(n);
      for (std::size_t i = 0; i < items_[n].inputs.size(); ++i) {
        const std::size_t input = items_[n].inputs[i];
        if (!run.holds(input) || input >= run.end() - run.length) continue;
        if (user && goes_along(items_, run, *user, n, i))
          result += user->block(n) == 0;
        else
          result += !is_used_in_each(items_, run, n, run.place(input)) || run.block(input) == 0;
      }
    }
    return result;
  }

  const std::vector<Item>& items_;
  std::vector<Run> runs_, refused_;
  std::vector<bool> taken_;  // by a run
};

}  // namespace

bool is_used_in_each(const std::vector<Item>& items, const Run& run, std::size_t user,
                     std::size_t place) {
  const std::vector<std::size_t>& inputs = items[user].inputs;
  for (std::size_t b = 0; b < run.count; ++b)
    if (std::find(inputs.begin(), inputs.end(), run.first + b * run.length + place) == inputs.end())
      return false;
  return true;
}

bool goes_along(const std::vector<Item>& items, const Run& source, const Run& user, std::size_t to,
                std::size_t slot) {
  const std::size_t first = items[user.first + user.place(to)].inputs[slot],
                    last = items[user.end() - user.length + user.place(to)].inputs[slot];
  return source.holds(first) && source.holds(last) &&
         last == first + (user.count - 1) * source.length;
}

std::vector<Run> repeated_blocks(const std::vector<Item>& items) { return Search(items).runs(); }

}  // namespace xg::pictures
