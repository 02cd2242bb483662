#pragma once
// What sampling found of where the time goes: a tree of functions, each with how often it was seen
// on a thread's stack. It is Dask's profile tree.    source: distributed/profile.py
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rask/wire/value.h"

namespace rask {

struct ProfileNode {
  std::string identifier = "root";    // Tells siblings apart: "name;filename;line number".
  std::string name;                   // Of the function; empty for the root.
  std::string filename;               // Of its source, or of the program or library that holds it.
  std::int64_t line_number = 0;       // 0: not known
  std::string line;                   // That line's text; empty: not known
  std::int64_t count = 0;             // Samples with this function on the stack, here.
  std::vector<ProfileNode> children;  // What it called, in the order first seen.

  // The child called `wanted`; null: none.
  const ProfileNode* child(std::string_view wanted) const;
  bool operator==(const ProfileNode&) const = default;
};

// Counts one sample: `stack` is under `root` from the outermost function on. Only the description
// of its nodes is looked at.    source: process
void add_sample(ProfileNode& root, const std::vector<const ProfileNode*>& stack);
// Adds what was counted in `other`.    source: merge
void merge_profile(ProfileNode& into, const ProfileNode& other);
// Of all samples the share, in [0, 1], that had a function with `name` in its name on their stack.
double profile_share(const ProfileNode& root, std::string_view name);

// From and to Dask's form: {identifier, description: {filename, name, line_number, line}, count,
// children: {identifier: node}}. What does not fit is read as nothing.
ProfileNode parse_profile(const wire::Value& tree);
wire::Value profile_value(const ProfileNode& node);

}  // namespace rask
