// The arrays that a tape writes into, reused from tape to tape, so that in the steady state
// recording allocates nothing; and what goes over them. Internal to the tape.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_set>
#include <vector>

#include "autograd/op.hpp"

namespace xg::detail {

struct Node {
  const OpTable* op = nullptr;    // null for a tensor from outside
  void* op_state = nullptr;       // the operation's struct, in the arena; null if it is empty
  Tensor output;                  // has its elements only if some rule needs them
  std::uint32_t first_input = 0;  // into TapeMemory::inputs
  std::uint32_t input_count = 0;
  std::uint32_t version = 0;  // of a parameter; 0 otherwise
};

/// The nodes, one after the other in blocks that never move: a rule may hold a reference to what is
/// on the tape while it records more.
class NodeList {
 public:
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return blocks_.size() * per_block; }
  Node& operator[](std::size_t i) noexcept { return blocks_[i / per_block][i % per_block]; }
  const Node& operator[](std::size_t i) const noexcept {
    return blocks_[i / per_block][i % per_block];
  }
  /// A node that holds no buffer; the rest of it is for the caller to fill in.
  Node& append() {
    if (size_ == blocks_.size() * per_block) blocks_.push_back(std::make_unique<Node[]>(per_block));
    return (*this)[size_++];
  }
  /// Forgets all but the first `count` nodes.
  void truncate(std::size_t count) noexcept {
    for (std::size_t i = count; i < size_; ++i) {
      Node& node = (*this)[i];
      if (node.op_state && node.op->destroy) node.op->destroy(node.op_state);
      TensorAccess::set_buffer(node.output, {});
    }
    size_ = count;
  }

 private:
  static constexpr std::size_t per_block = 256;
  std::vector<std::unique_ptr<Node[]>> blocks_;
  std::size_t size_ = 0;
};

/// Room for the operations' structs, which must not move.
class Arena {
 public:
  void* allocate(std::size_t size, std::size_t alignment) {
    std::size_t offset = (used_ + alignment - 1) / alignment * alignment;
    if (block_ == blocks_.size() || offset + size > largest_op) {
      if (block_ < blocks_.size()) ++block_;
      if (block_ == blocks_.size()) blocks_.push_back(std::make_unique<Block>());
      offset = 0;
    }
    used_ = offset + size;
    return blocks_[block_]->bytes + offset;
  }
  struct Place {
    std::size_t block = 0, used = 0;
  };
  Place place() const noexcept { return {block_, used_}; }
  /// Gives back all that was allocated since.
  void return_to(const Place& place) noexcept {
    block_ = place.block;
    used_ = place.used;
  }

 private:
  struct Block {
    alignas(64) std::byte bytes[largest_op];
  };
  std::vector<std::unique_ptr<Block>> blocks_;
  std::size_t block_ = 0, used_ = 0;
};

/// Which node stands for the outside tensor of a given number: open addressing, emptied in no time
/// by a new stamp. An erased entry stays in the way of those behind it.
struct Leaf {
  std::uint64_t id = 0, stamp = 0;
  std::uint32_t node = 0;
};
class LeafMap {
 public:
  /// The entry of `id`, or a free one that this does not hold.
  Leaf& find(std::uint64_t id) {
    std::size_t i = static_cast<std::size_t>(id * 0x9e3779b97f4a7c15ull) >> shift_;
    while (entries_[i].stamp == stamp_ && entries_[i].id != id) i = (i + 1) & (entries_.size() - 1);
    return entries_[i];
  }
  bool holds(const Leaf& entry) const noexcept {
    return entry.stamp == stamp_ && entry.node != erased;
  }
  /// Puts `id` into the free entry that `find` gave for it.
  void insert(Leaf& free, std::uint64_t id, std::uint32_t node) {
    if (free.stamp != stamp_) ++count_;
    free = {id, stamp_, node};
    if (2 * count_ > entries_.size()) make_room();
  }
  void erase(Leaf& entry) noexcept { entry.node = erased; }
  void clear() noexcept {
    ++stamp_;
    count_ = 0;
  }

 private:
  static constexpr std::uint32_t erased = 0xffffffffu;

  void make_room() {
    const auto held = [this](const Leaf& entry) { return holds(entry); };
    count_ = static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(), held));
    const bool grow = 4 * count_ > entries_.size();
    if (grow) --shift_;
    std::vector<Leaf> old(entries_.size() * (grow ? 2 : 1));
    old.swap(entries_);
    for (const Leaf& entry : old)
      if (held(entry)) find(entry.id) = entry;
  }

  std::vector<Leaf> entries_ = std::vector<Leaf>(64);
  int shift_ = 64 - 6;
  std::uint64_t stamp_ = 1;
  std::size_t count_ = 0;
};

/// What a tape in forward mode knows beside its nodes.
struct Tangents {
  struct Entry {
    std::uint32_t node;
    BufferRef value;  // nobody else holds it: nobody can use the node again
    Tensor tangent;
  };
  std::vector<Entry> entries;       // ascending by node
  std::vector<std::uint32_t> held;  // nodes that have elements for passes of transforms inside
  std::size_t holders = 0;          // how many of these are under way
  std::size_t sweep_at = 0;         // when there are as many entries, the dead are taken out

  void clear() noexcept {
    entries.clear();
    held.clear();
    holders = sweep_at = 0;
  }
};

/// What a recorded backward pass has recorded in the place of a checkpoint, `node`: the nodes
/// [begin, end).
struct Expansion {
  std::size_t node, begin, end, result;
};

struct TapeMemory {
  NodeList nodes;
  std::vector<std::uint32_t> inputs;  // of all nodes, one after the other
  Arena arena;
  LeafMap leaves;
  Tangents tangents;
  std::vector<Expansion> expansions;  // in the order of their nodes

  // Scratch of a pass over the tape, taken out and put back so that passes can nest.
  struct Pass {
    std::vector<std::uint32_t> sources;
    std::vector<char> marks;
    std::vector<Tensor> derivatives;
  } pass;

  void clear() {
    nodes.truncate(0);
    inputs.clear();
    arena.return_to({});
    leaves.clear();
    tangents.clear();
    expansions.clear();
  }
};

/// Takes arrays from this thread's store, or new ones; gives them back empty.
std::unique_ptr<TapeMemory> take_tape_memory();
void give_tape_memory(std::unique_ptr<TapeMemory> memory);

[[noreturn]] void fail_foreign(const Tensor& tensor, std::string_view caller);
[[noreturn]] void fail_changed(const Tensor& parameter, std::string_view caller);
/// `gradient` for transforms, which do not step: that their tape grows is no news.
std::vector<Tensor> gradient_of_call(const Tensor& y, std::span<const Tensor> xs,
                                     std::string_view caller);
/// Throws DTypeError unless the output is floating, ShapeError unless the adjoint fits it,
/// ValueError unless there are as many results as tensors.
void check_pull_back(const Tensor& output, const Tensor& adjoint, std::size_t tensors,
                     std::size_t results, std::string_view caller);

/// How a node stands to what is differentiated with respect to; the last two are added to the
/// others (see Backward::place_expansions).
enum Mark : char { unneeded, needed, source, taken, elsewhere = 4, expanded = 8 };

/// A pass of the chain rule back over a tape.
struct Backward {
  Tape& tape;
  TapeMemory& memory;
  std::vector<char> marks;
  std::vector<Tensor> adjoints;

  /// Goes over the nodes [first, end) from the end, from their adjoints to those of their inputs.
  void through(std::size_t first, std::size_t end);
  /// Adds to the adjoint of a node.
  void add(std::size_t node, Tensor&& change);

  // checkpoint.cpp:
  /// From node n, of an operation that has no `vjp`, to its inputs.
  void through_all_inputs(std::size_t n);
  /// Goes over what is recorded in the place of node n.
  void through_expansion(std::size_t n);
  /// Marks what an earlier pass has recorded in the place of nodes up to `last`.
  void place_expansions(std::size_t last);
  /// Records what stands for node n.
  static Expansion record_expansion(Tape& tape, std::size_t n);
};

/// A pass of tangents along a tape.
struct Forward {
  Tape& tape;
  TapeMemory& memory;
  std::vector<char> marks;
  std::vector<Tensor> tangents;

  /// Goes over the nodes [first, end), from the tangents of their inputs to their own.
  void through(std::size_t first, std::size_t end);
  /// The tangent of node n (checkpoint.cpp).
  Tensor through_expansion(std::size_t n);
};

/// A recording that is taken back. While one of these lives, `tape` records on this thread; at its
/// end the tape forgets what that was, and who holds a tensor of it cannot use it under a tape.
class Episode {
 public:
  explicit Episode(Tape& tape);
  ~Episode();
  Episode(const Episode&) = delete;
  Episode& operator=(const Episode&) = delete;

  /// From here on what recorded before records again.
  void pause() noexcept;
  /// The tensors from before or from outside that it used, in the order of their first use.
  const std::vector<Tensor>& used() const noexcept { return used_; }
  /// Whether it recorded `tensor`.
  bool made(const Tensor& tensor) const;
  double flops() const;

  // For the tape:
  void note(const Tensor& tensor);
  /// Whether a tensor was recorded by the tape before this began.
  bool is_from_before(std::uint64_t serial) const noexcept {
    return serial == serial_before_ || (outer_ && outer_->is_from_before(serial));
  }

 private:
  Tape& tape_;
  Episode* outer_;
  Tape* recorder_before_;
  LiveSerial live_;
  std::uint64_t serial_before_;
  std::size_t nodes_, inputs_;
  Arena::Place arena_;
  std::uint32_t keeps_before_;
  bool forward_before_;  // no tangents are computed of what is taken back
  std::vector<Tensor> used_;
  std::unordered_set<std::uint64_t> seen_;
  bool paused_ = false;
};

}  // namespace xg::detail

inline xg::detail::Leaf& xg::Tape::leaf(const Tensor& tensor, std::string_view caller) const {
  if (detail::TensorAccess::tape(tensor) != 0) detail::fail_foreign(tensor, caller);
  detail::Leaf& entry = memory_->leaves.find(detail::TensorAccess::id(tensor));
  if (memory_->leaves.holds(entry) &&
      memory_->nodes[entry.node].version != detail::TensorAccess::version(tensor))
    detail::fail_changed(tensor, caller);
  return entry;
}

inline bool xg::Tape::is_mine(std::uint64_t serial) const noexcept {
  return serial == serial_ || (episode_ && episode_->is_from_before(serial));
}
