#include "rask/scrape/robots.h"

#include <algorithm>
#include <charconv>

#include "rask/scrape/url.h"

namespace rask::scrape {
namespace {

constexpr std::size_t kBytesMax = 500 * 1024;  // As much as the RFC demands of a parser.

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool equals_without_case(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char a, char b) { return to_lower(a) == to_lower(b); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// '*' and '$' of a path are plain characters there and have a meaning in patterns.
std::string comparable(std::string_view target) {
  std::string out;
  for (const char c : normalize_escapes(target)) {
    if (c == '*') {
      out += "%2A";
    } else if (c == '$') {
      out += "%24";
    } else {
      out += c;
    }
  }
  return out;
}

// Whether `pattern` matches a start of `text`, or all of it when it ends with '$'. Going back to
// the last '*' only is enough, so this takes O(pattern * text) at worst.
bool matches(std::string_view pattern, std::string_view text) {
  const bool to_end = pattern.ends_with('$');
  if (to_end) pattern.remove_suffix(1);
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (true) {
    if (p == pattern.size() && (!to_end || t == text.size())) return true;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && t < text.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos && resume < text.size()) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
}

std::optional<Seconds> parse_delay(std::string_view value) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error != std::errc{} || end != value.data() + value.size()) return std::nullopt;
  return seconds >= 0 && seconds < 1e6 ? std::optional{seconds} : std::nullopt;
}

}  // namespace

// Reads line by line and keeps the groups for us and those for everybody apart.
struct Robots::Reader {
  std::string_view product;
  Robots ours;
  Robots everybody;
  bool named = false;          // Some group names us.
  bool group_is_ours = false;  // The group at hand names us …
  bool group_is_all = false;   // … or '*'.
  bool in_agents = false;      // Another User-agent line belongs to the group at hand.

  void line(std::string_view text) {
    text = trim(text.substr(0, text.find('#')));
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return;
    const auto name = trim(text.substr(0, colon));
    const auto value = trim(text.substr(colon + 1));
    if (equals_without_case(name, "user-agent")) {
      agent(value);
    } else if (equals_without_case(name, "allow") || equals_without_case(name, "disallow")) {
      in_agents = false;
      rule(value, equals_without_case(name, "allow"));
    } else if (equals_without_case(name, "crawl-delay")) {
      if (const auto seconds = parse_delay(value))
        for_groups([&](Robots& robots) {
          robots.crawl_delay_ = std::max(robots.crawl_delay_.value_or(0), *seconds);
        });
    }
  }

  void agent(std::string_view value) {
    if (!in_agents) group_is_ours = group_is_all = false;
    in_agents = true;
    if (value == "*") {
      group_is_all = true;
    } else if (!product.empty() && equals_without_case(product_token(value), product)) {
      group_is_ours = named = true;
    }
  }

  void rule(std::string_view value, bool allow) {
    if (value.empty()) return;  // "Disallow:" forbids nothing.
    // An end mark is no character of the path; all else is compared in normal form.
    std::string pattern = normalize_escapes(value);
    if (pattern.front() != '/' && pattern.front() != '*') pattern.insert(0, "/");
    for_groups([&](Robots& robots) { robots.rules_.push_back({pattern, allow}); });
  }

  template <class Change>
  void for_groups(Change change) {
    if (group_is_ours) change(ours);
    if (group_is_all) change(everybody);
  }
};

Robots Robots::from_response(int status, std::string_view body, std::string_view product) {
  if (status >= 200 && status < 300) return parse(body, product);
  // A redirect that is left over after following is a file that is not there, too.
  if (status >= 300 && status < 500) return allow_all();
  return disallow_all();
}

Robots Robots::parse(std::string_view text, std::string_view product) {
  Reader reader{.product = product, .ours = {}, .everybody = {}};
  text = text.substr(0, kBytesMax);
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    reader.line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return reader.named ? std::move(reader.ours) : std::move(reader.everybody);
}

Robots Robots::disallow_all() {
  Robots out;
  out.rules_.push_back({"/", false});
  return out;
}

bool Robots::allows(std::string_view target) const {
  if (target == "/robots.txt") return true;
  const std::string text = comparable(target);
  const Rule* best = nullptr;
  for (const Rule& rule : rules_) {
    if (!matches(rule.pattern, text)) continue;
    const bool longer = best == nullptr || rule.pattern.size() > best->pattern.size();
    const bool milder =
        best != nullptr && rule.pattern.size() == best->pattern.size() && rule.allow;
    if (longer || milder) best = &rule;
  }
  return best == nullptr || best->allow;
}

std::string product_token(std::string_view user_agent) {
  const auto is_token = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  };
  return {user_agent.begin(), std::find_if_not(user_agent.begin(), user_agent.end(), is_token)};
}

}  // namespace rask::scrape
