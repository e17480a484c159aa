// The arrays that a tape writes into. Internal to the tape; reused from tape to tape, so that in
// the steady state recording allocates nothing.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
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
  Node& operator[](std::size_t i) noexcept { return blocks_[i / per_block][i % per_block]; }
  const Node& operator[](std::size_t i) const noexcept {
    return blocks_[i / per_block][i % per_block];
  }
  /// A node that holds no buffer; the rest of it is for the caller to fill in.
  Node& append() {
    if (size_ == blocks_.size() * per_block) blocks_.push_back(std::make_unique<Node[]>(per_block));
    return (*this)[size_++];
  }
  void clear() noexcept {
    for (std::size_t i = 0; i < size_; ++i) {
      Node& node = (*this)[i];
      if (node.op_state && node.op->destroy) node.op->destroy(node.op_state);
      TensorAccess::set_buffer(node.output, {});
    }
    size_ = 0;
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
  void clear() noexcept { block_ = used_ = 0; }

 private:
  struct Block {
    alignas(64) std::byte bytes[largest_op];
  };
  std::vector<std::unique_ptr<Block>> blocks_;
  std::size_t block_ = 0, used_ = 0;
};

/// Which node stands for the outside tensor of a given number: open addressing, emptied in no time
/// by a new stamp.
struct Leaf {
  std::uint64_t id = 0, stamp = 0;
  std::uint32_t node = 0;
};
class LeafMap {
 public:
  /// The entry of `id`, or a free one with another stamp than the current.
  Leaf& find(std::uint64_t id) {
    std::size_t i = static_cast<std::size_t>(id * 0x9e3779b97f4a7c15ull) >> shift_;
    while (entries_[i].stamp == stamp_ && entries_[i].id != id) i = (i + 1) & (entries_.size() - 1);
    return entries_[i];
  }
  bool holds(const Leaf& entry) const noexcept { return entry.stamp == stamp_; }
  /// Puts `id` into the free entry that `find` gave for it.
  void insert(Leaf& free, std::uint64_t id, std::uint32_t node) {
    free = {id, stamp_, node};
    if (2 * ++count_ > entries_.size()) grow();
  }
  void clear() noexcept {
    ++stamp_;
    count_ = 0;
  }

 private:
  void grow() {
    std::vector<Leaf> old(entries_.size() * 2);
    old.swap(entries_);
    --shift_;
    for (const Leaf& entry : old)
      if (holds(entry)) find(entry.id) = entry;
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

struct TapeMemory {
  NodeList nodes;
  std::vector<std::uint32_t> inputs;  // of all nodes, one after the other
  Arena arena;
  LeafMap leaves;
  Tangents tangents;

  // Scratch of a pass over the tape, taken out and put back so that passes can nest.
  struct Pass {
    std::vector<std::uint32_t> sources;
    std::vector<char> marks;
    std::vector<Tensor> derivatives;
  } pass;

  void clear() {
    nodes.clear();
    inputs.clear();
    arena.clear();
    leaves.clear();
    tangents.clear();
  }
};

/// Takes arrays from this thread's store, or new ones; gives them back empty.
std::unique_ptr<TapeMemory> take_tape_memory();
void give_tape_memory(std::unique_ptr<TapeMemory> memory);

}  // namespace xg::detail
