#include "layers/description_parser.h"

#include <algorithm>
#include <charconv>

namespace convoy {
namespace {

constexpr int kDeepestNesting = 32;

const LayerKeyword* find_layer(std::string_view keyword) {
  for (const LayerKeyword& row : layer_keywords())
    if (keyword == row.keyword) return &row;
  return nullptr;
}

}  // namespace

std::unique_ptr<Sequential> Parser::layers(Flow& flow, bool nested) {
  auto sequence = std::make_unique<Sequential>();
  while (true) {
    const Token token = peek();
    if (token.kind == Token::Kind::end || (nested && token.kind == Token::Kind::close)) return sequence;
    ++next_;
    if (token.kind == Token::Kind::separator) continue;
    if (token.kind != Token::Kind::word)
      fail_at(token.offset, fmt::format("'{}' without a layer before it", token.text));
    const LayerKeyword* row = find_layer(token.text);
    if (!row) {
      if (token.text == "shortcut") fail_at(token.offset, "'shortcut' belongs right behind the '}' of a residual");
      std::vector<std::string> known;
      for (const LayerKeyword& r : layer_keywords()) known.emplace_back(r.keyword);
      fail_at(token.offset, unknown_name("layer", token.text, known).what());
    }
    layer_ = argument_ = token;
    options_seen_.clear();
    sequence->append(row->build(*this, flow));
    end_of_layer();
  }
}

void Parser::end_of_layer() {
  const Token& token = peek();
  if (token.kind == Token::Kind::word)
    fail_at(token.offset, fmt::format("'{}' is one argument too many for '{}'; separate layers with ';'", token.text,
                                      usage_of(*find_layer(layer_.text))));
  if (token.kind == Token::Kind::open)
    fail_at(token.offset, fmt::format("'{{' does not belong behind {}", layer_.text));
  if (token.kind == Token::Kind::close && depth_ == 0) fail_at(token.offset, "'}' without a '{'");
}

std::string_view Parser::argument(const char* what) {
  if (!more_arguments())
    fail_at(peek().offset, fmt::format("{} needs {}: {}", layer_.text, what, usage_of(*find_layer(layer_.text))));
  argument_ = tokens_[next_++];
  return argument_.text;
}

int64_t Parser::parse_number(std::string_view digits, const char* what, int64_t least) const {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < least || value > kLargestNumber)
    fail_at_argument(fmt::format("'{}' is not {} of {} (a whole number from {} to {})", argument_.text, what,
                                 layer_.text, least, kLargestNumber));
  return value;
}

int64_t Parser::number(const char* what, int64_t least) { return parse_number(argument(what), what, least); }

Window Parser::window(const char* what, int64_t least) {
  const std::string_view word = argument(what);
  const size_t cross = word.find('x');
  const int64_t h = parse_number(word.substr(0, cross), what, least);
  return {h, cross == std::string_view::npos ? h : parse_number(word.substr(cross + 1), what, least)};
}

float Parser::fraction(const char* what) {
  const std::string_view word = argument(what);
  float value = -1;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || !(value >= 0 && value < 1))
    fail_at_argument(fmt::format("'{}' is not {} of {} (at least 0, below 1)", word, what, layer_.text));
  return value;
}

std::string Parser::option(const std::vector<std::string>& known) {
  const std::string word(argument("an option"));
  if (std::find(known.begin(), known.end(), word) == known.end())
    fail_at_argument(unknown_name(fmt::format("option of {}", layer_.text), word, known).what());
  if (!options_seen_.insert(word).second) fail_at_argument(fmt::format("{} has two options '{}'", layer_.text, word));
  return word;
}

std::unique_ptr<Sequential> Parser::block(Flow& flow) {
  const Token keyword = layer_, open = peek();
  if (open.kind != Token::Kind::open)
    fail_at(open.offset, fmt::format("residual needs a block: {}", usage_of(*find_layer("residual"))));
  if (++depth_ > kDeepestNesting)
    fail_at(open.offset, fmt::format("blocks are nested more than {} deep", kDeepestNesting));
  ++next_;
  auto sequence = layers(flow, true);
  if (peek().kind != Token::Kind::close) fail_at(open.offset, "this '{' is never closed");
  ++next_;
  --depth_;
  layer_ = keyword;
  return sequence;
}

void Parser::take_weights(int64_t count) {
  if (count > weights_left_)
    fail_at_layer(
        fmt::format("the {} weights of this {} are too many: beside those before it, this machine's memory has "
                    "room for training {} more",
                    count, layer_.text, weights_left_));
  weights_left_ -= count;
}

bool Parser::accept_after_separators(std::string_view word) {
  size_t ahead = next_;
  while (tokens_[ahead].kind == Token::Kind::separator) ++ahead;
  if (tokens_[ahead].kind != Token::Kind::word || tokens_[ahead].text != word) return false;
  next_ = ahead + 1;
  return true;
}

}  // namespace convoy
