#include "rask/diagnostics/profile.h"

#include <algorithm>

namespace rask {
namespace {

constexpr int kDepthMax = 256;  // Of trees that others send.

ProfileNode& child_like(ProfileNode& parent, const ProfileNode& description) {
  auto& children = parent.children;
  const auto found = std::ranges::find(children, description.identifier, &ProfileNode::identifier);
  if (found != children.end()) return *found;
  ProfileNode& fresh = children.emplace_back();
  fresh.identifier = description.identifier;
  fresh.name = description.name;
  fresh.filename = description.filename;
  fresh.line_number = description.line_number;
  fresh.line = description.line;
  return fresh;
}

ProfileNode parse(const wire::Value& tree, int depth) {
  ProfileNode node;
  node.identifier = tree["identifier"].as_text("root");
  const wire::Value& description = tree["description"];
  node.name = description["name"].as_text();
  node.filename = description["filename"].as_text();
  node.line_number = description["line_number"].as_int();
  node.line = description["line"].as_text();
  node.count = tree["count"].as_int();
  if (depth == 0) return node;
  for (const auto& [identifier, child] : tree["children"].as_map())
    node.children.push_back(parse(child, depth - 1));
  return node;
}

// The samples of the outermost functions that are meant, so that none counts twice.
std::int64_t samples_of(const ProfileNode& node, std::string_view name) {
  if (node.name.find(name) != std::string::npos) return node.count;
  std::int64_t sum = 0;
  for (const ProfileNode& child : node.children) sum += samples_of(child, name);
  return sum;
}

}  // namespace

const ProfileNode* ProfileNode::child(std::string_view wanted) const {
  const auto found = std::ranges::find(children, wanted, &ProfileNode::name);
  return found == children.end() ? nullptr : &*found;
}

void add_sample(ProfileNode& root, const std::vector<const ProfileNode*>& stack) {
  ProfileNode* at = &root;
  ++at->count;
  for (const ProfileNode* frame : stack) {
    at = &child_like(*at, *frame);
    ++at->count;
  }
}

void merge_profile(ProfileNode& into, const ProfileNode& other) {
  into.count += other.count;
  for (const ProfileNode& child : other.children) merge_profile(child_like(into, child), child);
}

double profile_share(const ProfileNode& root, std::string_view name) {
  if (root.count == 0) return 0;
  std::int64_t sum = 0;
  for (const ProfileNode& child : root.children) sum += samples_of(child, name);
  return static_cast<double>(sum) / static_cast<double>(root.count);
}

ProfileNode parse_profile(const wire::Value& tree) { return parse(tree, kDepthMax); }

wire::Value profile_value(const ProfileNode& node) {
  wire::Value::Map children;
  for (const ProfileNode& child : node.children)
    children.emplace_back(child.identifier, profile_value(child));
  return wire::Value::object(
      {{"identifier", node.identifier},
       {"description", wire::Value::object({{"filename", node.filename},
                                            {"name", node.name},
                                            {"line_number", node.line_number},
                                            {"line", node.line}})},
       {"count", node.count},
       {"children", std::move(children)}});
}

}  // namespace rask
