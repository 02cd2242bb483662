#pragma once
// What a site's robots.txt allows (RFC 9309). Pure.
//
//   robots.txt = groups of rules; a group starts with one or more "User-agent: token" lines
//   rule       = ("Allow" | "Disallow") ":" pattern, '*' any characters, '$' at its end the end
//
// All groups that name our token count together, or, when there is none, all that name '*'. The
// longest pattern that matches decides, Allow before Disallow when two are equally long; what no
// pattern matches is allowed. Rules and paths are compared in normal percent-encoding.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rask/base/ids.h"

namespace rask::scrape {

class Robots {
 public:
  // As the RFC's 2.3.1 wants: a file that is not there (4xx) allows everything, one that cannot be
  // had (5xx, no answer: status 0) forbids everything.
  //   product   our product token, see below; compared without case
  static Robots from_response(int status, std::string_view body, std::string_view product);
  static Robots parse(std::string_view text, std::string_view product);
  static Robots allow_all() { return Robots{}; }
  static Robots disallow_all();

  //   target   "/path?query" of a URL in normal form; /robots.txt itself is always allowed
  bool allows(std::string_view target) const;

  // Seconds between two requests that the site asks for. Not in the RFC, but widely written.
  std::optional<Seconds> crawl_delay() const { return crawl_delay_; }

 private:
  struct Rule {
    std::string pattern;
    bool allow = false;
  };
  struct Reader;

  std::vector<Rule> rules_;
  std::optional<Seconds> crawl_delay_;
};

// "rask" of "rask/0.1 (+https://…)": the letters, '-' and '_' that a user agent starts with.
std::string product_token(std::string_view user_agent);

}  // namespace rask::scrape
