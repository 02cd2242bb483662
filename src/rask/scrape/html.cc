#include "rask/scrape/html.h"

#include <lexbor/css/css.h>
#include <lexbor/encoding/encoding.h>
#include <lexbor/html/encoding.h>
#include <lexbor/html/html.h>
#include <lexbor/selectors/selectors.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

namespace rask::scrape {
namespace {

const lxb_char_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const lxb_char_t*>(text.data());
}
std::string_view view_of(const lxb_char_t* data, std::size_t length) {
  return data == nullptr ? std::string_view{}
                         : std::string_view{reinterpret_cast<const char*>(data), length};
}

// Memory of lexbor's: it has none only when the process has none.
template <class T>
T* made(T* object) {
  RASK_ASSERT(object != nullptr);
  return object;
}
void done(lxb_status_t status) { RASK_ASSERT(status == LXB_STATUS_OK); }

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string collapse(std::string_view text) {
  std::string out;
  for (const char c : trim(text)) {
    if (!is_space(c)) {
      out += c;
    } else if (out.back() != ' ') {
      out += ' ';
    }
  }
  return out;
}

// ---- Charsets
// ------------------------------------------------------------------------------------

const lxb_encoding_data_t* encoding_named(std::string_view name) {
  name = trim(name);
  return name.empty() ? nullptr : lxb_encoding_data_by_name(bytes_of(name), name.size());
}

const lxb_encoding_data_t* encoding_of_header(std::string_view content_type) {
  if (content_type.empty()) return nullptr;
  const lxb_char_t* begin = bytes_of(content_type);
  const lxb_char_t* name_end = nullptr;
  const auto* name = lxb_html_encoding_content(begin, begin + content_type.size(), &name_end);
  if (name == nullptr) return nullptr;
  return encoding_named(view_of(name, static_cast<std::size_t>(name_end - name)));
}

const lxb_encoding_data_t* encoding_of_meta(std::string_view bytes) {
  constexpr std::size_t kPrescanBytes = 1024;  // HTML, 13.2.3.2
  const auto close = [](lxb_html_encoding_t* scan) { lxb_html_encoding_destroy(scan, true); };
  const std::unique_ptr<lxb_html_encoding_t, decltype(close)> scan{
      made(lxb_html_encoding_create())};
  done(lxb_html_encoding_init(scan.get()));
  std::size_t length = 0;
  const std::string head{bytes.substr(0, kPrescanBytes)};
  const auto* name =
      lxb_html_encoding_prescan(scan.get(), bytes_of(head), bytes_of(head) + head.size(), &length);
  return name == nullptr ? nullptr : encoding_named(view_of(name, length));
}

void append_utf8(std::string& out, lxb_codepoint_t c) {
  const auto byte = [&](lxb_codepoint_t value) { out += static_cast<char>(value); };
  if (c < 0x80) {
    byte(c);
  } else if (c < 0x800) {
    byte(0xC0 | (c >> 6U));
    byte(0x80 | (c & 0x3FU));
  } else if (c < 0x10000) {
    byte(0xE0 | (c >> 12U));
    byte(0x80 | ((c >> 6U) & 0x3FU));
    byte(0x80 | (c & 0x3FU));
  } else {
    byte(0xF0 | (c >> 18U));
    byte(0x80 | ((c >> 12U) & 0x3FU));
    byte(0x80 | ((c >> 6U) & 0x3FU));
    byte(0x80 | (c & 0x3FU));
  }
}

// nullopt: the bytes are not all of this encoding, and `lenient` is off.
std::optional<std::string> decode(std::string_view bytes, const lxb_encoding_data_t* encoding,
                                  bool lenient) {
  static constexpr lxb_codepoint_t kReplacement = 0xFFFD;
  std::array<lxb_codepoint_t, 4096> points{};
  lxb_encoding_decode_t decoder;
  done(lxb_encoding_decode_init(&decoder, encoding, points.data(), points.size()));
  if (lenient) done(lxb_encoding_decode_replace_set(&decoder, &kReplacement, 1));
  std::string out;
  out.reserve(bytes.size());
  const auto take = [&] {
    const std::size_t used = lxb_encoding_decode_buf_used(&decoder);
    for (std::size_t i = 0; i < used; ++i) append_utf8(out, points[i]);
    lxb_encoding_decode_buf_used_set(&decoder, 0);
  };
  const lxb_char_t* at = bytes_of(bytes);
  const lxb_char_t* end = at + bytes.size();
  lxb_status_t status = LXB_STATUS_OK;
  do {
    status = encoding->decode(&decoder, &at, end);
    take();
  } while (status == LXB_STATUS_SMALL_BUFFER);
  if (status == LXB_STATUS_ERROR) return lenient ? std::optional{out} : std::nullopt;
  if (lxb_encoding_decode_finish(&decoder) != LXB_STATUS_OK) return std::nullopt;
  take();
  return out;
}

// ---- CSS
// -----------------------------------------------------------------------------------------

// A parsed selector and what is needed to look for it.
class Selector {
 public:
  Selector() : parser_(made(lxb_css_parser_create())), finder_(made(lxb_selectors_create())) {
    done(lxb_css_parser_init(parser_.get(), nullptr));
    done(lxb_selectors_init(finder_.get()));
    // An element that two selectors of a list match is one match.
    lxb_selectors_opt_set(finder_.get(), LXB_SELECTORS_OPT_MATCH_FIRST);
  }
  ~Selector() {
    if (list_ != nullptr) lxb_css_selector_list_destroy_memory(list_);
  }
  Selector(const Selector&) = delete;
  Selector& operator=(const Selector&) = delete;

  Result<Ok> parse(std::string_view text) {
    list_ = lxb_css_selectors_parse(parser_.get(), bytes_of(text), text.size());
    if (list_ != nullptr && parser_->status == LXB_STATUS_OK) return Ok{};
    return Error{ErrorCode::invalid_argument,
                 "not a CSS selector: '" + std::string{text} + "'" + reason()};
  }

  std::vector<lxb_dom_node_t*> find(lxb_dom_node_t* root) {
    std::vector<lxb_dom_node_t*> found;
    const auto add = [](lxb_dom_node_t* node, lxb_css_selector_specificity_t,
                        void* out) -> lxb_status_t {
      static_cast<std::vector<lxb_dom_node_t*>*>(out)->push_back(node);
      return LXB_STATUS_OK;
    };
    done(lxb_selectors_find(finder_.get(), root, list_, add, &found));
    return found;
  }

 private:
  std::string reason() const {
    std::string out;
    const auto add = [](const lxb_char_t* data, std::size_t length, void* to) -> lxb_status_t {
      static_cast<std::string*>(to)->append(view_of(data, length));
      return LXB_STATUS_OK;
    };
    if (lxb_css_log_length(parser_->log) != 0)
      lxb_css_log_serialize(parser_->log, add, &out, nullptr, 0);
    std::replace(out.begin(), out.end(), '\n', ' ');
    return out.empty() ? out : ": " + out;
  }

  struct Destroy {
    void operator()(lxb_css_parser_t* parser) const { lxb_css_parser_destroy(parser, true); }
    void operator()(lxb_selectors_t* finder) const { lxb_selectors_destroy(finder, true); }
  };
  std::unique_ptr<lxb_css_parser_t, Destroy> parser_;
  std::unique_ptr<lxb_selectors_t, Destroy> finder_;
  lxb_css_selector_list_t* list_ = nullptr;
};

// ---- The tree
// ------------------------------------------------------------------------------------

std::string text_of(lxb_dom_node_t* node) {
  std::size_t length = 0;
  lxb_char_t* text = lxb_dom_node_text_content(node, &length);
  std::string out = collapse(view_of(text, length));
  if (text != nullptr) lxb_dom_document_destroy_text(node->owner_document, text);
  return out;
}

std::optional<std::string> href_of(lxb_dom_node_t* node) {
  auto* element = lxb_dom_interface_element(node);
  constexpr std::string_view kHref = "href";
  if (!lxb_dom_element_has_attribute(element, bytes_of(kHref), kHref.size())) return std::nullopt;
  std::size_t length = 0;
  const auto* value =
      lxb_dom_element_get_attribute(element, bytes_of(kHref), kHref.size(), &length);
  return std::string{view_of(value, length)};
}

// Gathers what lies on a walk through the tree.
struct Gatherer {
  HtmlPage page;
  bool has_title = false;
  bool has_base = false;

  void visit(lxb_dom_node_t* node) {
    if (node->type != LXB_DOM_NODE_TYPE_ELEMENT || node->ns != LXB_NS_HTML) return;
    switch (lxb_dom_node_tag_id(node)) {
      case LXB_TAG_TITLE:
        if (!std::exchange(has_title, true)) page.title = text_of(node);
        break;
      case LXB_TAG_BASE:
        if (has_base) break;
        if (auto href = href_of(node)) {
          has_base = true;
          page.base = std::move(*href);
        }
        break;
      case LXB_TAG_A:
      case LXB_TAG_AREA:
        if (auto href = href_of(node)) page.hrefs.push_back(std::move(*href));
        break;
      default:
        break;
    }
  }
};

struct DestroyDocument {
  void operator()(lxb_html_document_t* document) const { lxb_html_document_destroy(document); }
};
using Document = std::unique_ptr<lxb_html_document_t, DestroyDocument>;

// Each element's start takes time by how deep it is, so a hostile page could hold a worker for
// hours: from a depth on that no author reaches, the rest of a page is left out.
Document parse_document(std::string_view text) {
  constexpr std::size_t kChunkBytes = 4096;
  constexpr std::size_t kDepthMax = 2048;
  const auto close = [](lxb_html_parser_t* parser) { lxb_html_parser_destroy(parser); };
  const std::unique_ptr<lxb_html_parser_t, decltype(close)> parser{made(lxb_html_parser_create())};
  done(lxb_html_parser_init(parser.get()));
  Document document{made(lxb_html_parse_chunk_begin(parser.get()))};
  while (!text.empty() && parser->tree->open_elements->length < kDepthMax) {
    const std::string_view chunk = text.substr(0, kChunkBytes);
    done(lxb_html_parse_chunk_process(parser.get(), bytes_of(chunk), chunk.size()));
    text.remove_prefix(chunk.size());
  }
  done(lxb_html_parse_chunk_end(parser.get()));
  return document;
}

HtmlPage gather(lxb_dom_node_t* root) {
  Gatherer gatherer;
  const auto step = [](lxb_dom_node_t* node, void* to) -> lexbor_action_t {
    static_cast<Gatherer*>(to)->visit(node);
    return LEXBOR_ACTION_OK;
  };
  lxb_dom_node_simple_walk(root, step, &gatherer);
  return std::move(gatherer.page);
}

}  // namespace

Result<HtmlPage> parse_html(std::string_view bytes, std::string_view content_type,
                            std::string_view selector) {
  std::optional<Selector> wanted;
  if (!trim(selector).empty()) {
    const Result<Ok> parsed = wanted.emplace().parse(selector);
    if (!parsed.ok()) return parsed.error();
  }
  const std::string text = decode_to_utf8(bytes, content_type);
  const Document document = parse_document(text);
  lxb_dom_node_t* root = lxb_dom_interface_node(document.get());
  HtmlPage page = gather(root);
  if (!wanted) return page;
  for (lxb_dom_node_t* node : wanted->find(root))
    if (std::string found = text_of(node); !found.empty()) page.texts.push_back(std::move(found));
  return page;
}

Result<Ok> check_selector(std::string_view selector) {
  if (trim(selector).empty())
    return Error{ErrorCode::invalid_argument, "not a CSS selector: it is empty"};
  return Selector{}.parse(selector);
}

std::string decode_to_utf8(std::string_view bytes, std::string_view content_type) {
  const auto* utf8 = lxb_encoding_data(LXB_ENCODING_UTF_8);
  const lxb_encoding_data_t* encoding = nullptr;
  if (bytes.starts_with("\xEF\xBB\xBF")) {
    bytes.remove_prefix(3);
    encoding = utf8;
  } else if (bytes.starts_with("\xFE\xFF") || bytes.starts_with("\xFF\xFE")) {
    encoding =
        lxb_encoding_data(bytes.front() == '\xFE' ? LXB_ENCODING_UTF_16BE : LXB_ENCODING_UTF_16LE);
    bytes.remove_prefix(2);
  }
  if (encoding == nullptr) encoding = encoding_of_header(content_type);
  if (encoding == nullptr) encoding = encoding_of_meta(bytes);
  if (encoding == nullptr) {
    if (auto text = decode(bytes, utf8, false)) return std::move(*text);
    encoding = lxb_encoding_data(LXB_ENCODING_WINDOWS_1252);
  }
  return decode(bytes, encoding, true).value_or("");
}

bool is_html(std::string_view content_type) {
  std::string type{trim(content_type.substr(0, content_type.find(';')))};
  for (char& c : type)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return type.empty() || type == "text/html" || type == "application/xhtml+xml";
}

}  // namespace rask::scrape
