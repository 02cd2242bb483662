#include "rask/diagnostics/profile.h"

#include <gmock/gmock.h>

#include "rask/diagnostics/flame_graph.h"

namespace rask {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ProfileNode frame(const std::string& name) {
  ProfileNode node;
  node.identifier = name + ";app;0";
  node.name = name;
  node.filename = "app";
  return node;
}

// 3 samples of work -> parse, 1 of work -> sum, 1 of work alone.
ProfileNode sampled() {
  const auto work = frame("work");
  const auto parse = frame("parse");
  const auto sum = frame("sum");
  ProfileNode root;
  for (int i = 0; i < 3; ++i) add_sample(root, {&work, &parse});
  add_sample(root, {&work, &sum});
  add_sample(root, {&work});
  return root;
}

TEST(Profile, samples_of_one_stack_share_its_nodes) {
  const auto root = sampled();
  EXPECT_EQ(root.count, 5);
  ASSERT_EQ(root.children.size(), 1);
  const auto* work = root.child("work");
  ASSERT_NE(work, nullptr);
  EXPECT_EQ(work->count, 5);
  EXPECT_EQ(work->child("parse")->count, 3);
  EXPECT_EQ(work->child("sum")->count, 1);
  EXPECT_EQ(work->child("write"), nullptr);
}

TEST(Profile, merging_adds_counts_and_keeps_what_only_one_has) {
  auto whole = sampled();
  ProfileNode other;
  const auto work = frame("work");
  const auto write = frame("write");
  add_sample(other, {&work, &write});
  merge_profile(whole, other);
  EXPECT_EQ(whole.count, 6);
  EXPECT_EQ(whole.child("work")->count, 6);
  EXPECT_EQ(whole.child("work")->child("parse")->count, 3);
  EXPECT_EQ(whole.child("work")->child("write")->count, 1);
}

TEST(Profile, the_share_of_a_recursive_function_counts_each_sample_once) {
  ProfileNode root;
  const auto walk = frame("walk");
  const auto other = frame("other");
  add_sample(root, {&walk, &walk, &walk});
  add_sample(root, {&other});
  EXPECT_DOUBLE_EQ(profile_share(root, "walk"), 0.5);
  EXPECT_DOUBLE_EQ(profile_share(root, "nowhere"), 0);
  EXPECT_DOUBLE_EQ(profile_share({}, "walk"), 0);
}

TEST(Profile, has_the_form_of_dasks_trees) {
  const auto empty = profile_value({});
  EXPECT_EQ(wire::to_string(empty["description"]),
            "{'filename': '', 'name': '', 'line_number': 0, 'line': ''}");
  EXPECT_EQ(empty["identifier"].as_text(), "root");
  EXPECT_EQ(empty["count"], wire::Value{0});
  EXPECT_TRUE(empty["children"].as_map().empty());
  const auto tree = profile_value(sampled());
  const auto& parse = tree["children"]["work;app;0"]["children"]["parse;app;0"];
  EXPECT_EQ(parse["identifier"].as_text(), "parse;app;0");
  EXPECT_EQ(parse["description"]["name"].as_text(), "parse");
  EXPECT_EQ(parse["count"].as_int(), 3);
  EXPECT_EQ(parse_profile(tree), sampled());
}

TEST(Profile, what_is_no_tree_is_read_as_an_empty_one) {
  EXPECT_EQ(parse_profile({}), ProfileNode{});
  EXPECT_EQ(parse_profile(wire::Value{"root"}), ProfileNode{});
  EXPECT_EQ(parse_profile(wire::Value::object({{"children", 7}, {"count", "many"}})),
            ProfileNode{});
}

TEST(FlameGraph, each_function_has_a_bar_with_its_share) {
  const auto svg = flame_graph_svg(sampled());
  EXPECT_THAT(svg, AllOf(HasSubstr("<title>all tasks\n5 samples, 50.00 ms, 100.0 %</title>"),
                         HasSubstr("<title>work\napp\n5 samples, 50.00 ms, 100.0 %</title>"),
                         HasSubstr("<title>parse\napp\n3 samples, 30.00 ms, 60.0 %</title>"
                                   "<rect x=\"10.0\" y=\"38\" width=\"708.0\""),
                         HasSubstr("<title>sum\napp\n1 samples, 10.00 ms, 20.0 %</title>"
                                   "<rect x=\"718.0\" y=\"38\" width=\"236.0\""),
                         HasSubstr(">parse</text>")));
}

TEST(FlameGraph, the_order_in_which_functions_were_seen_changes_nothing) {
  auto other = sampled();
  auto& children = other.children[0].children;
  std::swap(children[0], children[1]);
  EXPECT_NE(other, sampled());
  EXPECT_EQ(flame_graph_svg(other), flame_graph_svg(sampled()));
}

TEST(FlameGraph, names_are_text_whatever_they_contain) {
  ProfileNode root;
  auto odd = frame("std::sort<a&b>(\"x\", \x01 \xff)");
  odd.line_number = 7;
  odd.line = "if (a < b)";
  add_sample(root, {&odd});
  EXPECT_THAT(
      flame_graph_svg(root, {.title = "<map>"}),
      AllOf(HasSubstr(
                "<title>std::sort&lt;a&amp;b&gt;(&quot;x&quot;, \xEF\xBF\xBD \xEF\xBF\xBD)\napp:7\n"
                "if (a &lt; b)\n"),
            HasSubstr(">&lt;map&gt;</text>"), Not(HasSubstr("<map>")), Not(HasSubstr("\x01"))));
}

TEST(FlameGraph, narrow_bars_have_short_names_and_the_narrowest_are_left_out) {
  ProfileNode root;
  const auto wide = frame("wide");
  const auto narrow = frame("std::vector<int> app::read_all(std::string const&, unsigned long)");
  const auto dust = frame("dust");
  for (int i = 0; i < 9000; ++i) add_sample(root, {&wide});
  for (int i = 0; i < 1000; ++i) add_sample(root, {&narrow});
  add_sample(root, {&dust});
  const auto svg = flame_graph_svg(root);
  EXPECT_THAT(svg, AllOf(HasSubstr(">read_all</text>"), Not(HasSubstr("dust")),
                         HasSubstr("10001 samples"), HasSubstr("100.0 %")));
}

TEST(FlameGraph, of_nothing_is_a_picture_too) {
  const auto svg = flame_graph_svg({}, {.title = ""});
  EXPECT_THAT(svg, AllOf(testing::StartsWith("<svg "), HasSubstr("0 samples, 0.00 us, 0.0 %"),
                         testing::EndsWith("</svg>\n")));
}

}  // namespace
}  // namespace rask
