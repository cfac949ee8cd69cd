// The recursive-descent parser of model descriptions. It follows the shapes as it builds: a layer's builder
// reads its own arguments from the parser and checks them against what flows in. The layers themselves are
// rows of the table in description.cpp.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layers/description_text.h"
#include "layers/layers.h"

namespace convoy {

// The largest number in a description, and the longest side of an image: beyond it, a typing error is
// likelier than intent.
constexpr int64_t kLargestNumber = 1'000'000;

// What flows between two layers: images [N,h,w,c], or features [N, h*w*c]. Features keep the extent of the
// images they were flattened from, where it matters for the order in files; others are {1,1,features}.
struct Flow {
  bool images = true;
  ImageExtent extent;

  int64_t features() const { return extent.h * extent.w * extent.c; }
  bool operator==(const Flow&) const = default;
  std::string text() const {
    const auto& [h, w, c] = extent;
    if (images) return fmt::format("images of {}x{}x{}", h, w, c);
    return h * w == 1 ? fmt::format("{} features", c)
                      : fmt::format("{} features, flattened from {}x{}x{}", features(), h, w, c);
  }
};

class Parser {
 public:
  // A model of more weights than `most_weights` is refused before they take memory.
  Parser(std::string_view text, std::string_view source, int64_t most_weights)
      : text_(text), source_(source), tokens_(tokenize(text)), weights_left_(most_weights) {}

  // The layers up to '}' (when nested) or the end of the text. Updates `flow` to what they give.
  std::unique_ptr<Sequential> layers(Flow& flow, bool nested);

  // --- for the builders of layers: the arguments of the current one ---
  bool more_arguments() const { return peek().kind == Token::Kind::word; }
  int64_t number(const char* what, int64_t least);
  float fraction(const char* what);
  Window window(const char* what, int64_t least = 1);
  std::string option(const std::vector<std::string>& known);
  std::unique_ptr<Sequential> block(Flow& flow);  // `{ … }`
  bool accept_after_separators(std::string_view word);
  void take_weights(int64_t count);  // that the layer is about to have

  // Errors that point at the keyword of the current layer, at its last argument, or at any place.
  [[noreturn]] void fail_at_layer(const std::string& message) const { fail_at(layer_.offset, message); }
  [[noreturn]] void fail_at_argument(const std::string& message) const { fail_at(argument_.offset, message); }
  [[noreturn]] void fail_at(size_t offset, const std::string& message) const {
    throw error_at(source_, text_, offset, message);
  }
  const Token& layer() const { return layer_; }

 private:
  const Token& peek() const { return tokens_[next_]; }
  std::string_view argument(const char* what);
  int64_t parse_number(std::string_view digits, const char* what, int64_t least) const;
  void end_of_layer();

  std::string_view text_, source_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  int depth_ = 0;
  int64_t weights_left_;
  Token layer_, argument_;
  std::set<std::string> options_seen_;
};

// One keyword. `build` reads the arguments, checks them against `flow` and updates it to what the layer
// gives.
struct LayerKeyword {
  const char* keyword;
  const char* arguments;
  const char* help;
  std::unique_ptr<Module> (*build)(Parser& parser, Flow& flow);
};

// The keywords of descriptions.
std::span<const LayerKeyword> layer_keywords();

// "conv FILTERS KERNEL [stride S] [pad P] [nobias]".
std::string usage_of(const LayerKeyword& row);

}  // namespace convoy
