// Only + - * / and square roots of floats, which IEEE 754 fixes to the bit (built without contraction into
// fused multiply-adds), so that the set is the same on every machine.
#include "data/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/digit_strokes.h"
#include "tensor/cpu/parallel.h"
#include "tensor/philox.h"

namespace convoy {
namespace {

constexpr int kSide = static_cast<int>(kSyntheticSide), kPixels = kSide * kSide;
constexpr int64_t kTrainDigits = 40000, kTestDigits = 8000;
// Far off, so that the test digits do not depend on how many there are to train on.
constexpr uint32_t kFirstTestIndex = 1u << 31;
constexpr int kLinesPerCurve = 4;  // straight pieces between two points of a curved stroke
constexpr float kFar = 1e6f;       // squared pixels, more than any distance in the image

// The image's own sequence of random numbers.
class Draws {
 public:
  Draws(uint64_t seed, uint32_t index) : key_{.seed = seed, .stream = RandomStream::synthetic, .step = index} {}

  uint32_t word() {
    if (position_ % 4 == 0) words_ = philox(key_, position_ / 4);
    return words_.v[position_++ % 4];
  }
  float between(float low, float high) { return low + (high - low) * unit_float(word()); }
  int below(size_t bound) { return static_cast<int>(random_below(word(), static_cast<uint32_t>(bound))); }

 private:
  RandomKey key_;
  Random4 words_{};
  uint64_t position_ = 0;
};

// Glyph coordinates to pixels.
struct Placement {
  float xx, xy, x0, yx, yy, y0;
  StrokePoint operator()(StrokePoint p) const { return {xx * p.x + xy * p.y + x0, yx * p.x + yy * p.y + y0}; }
};

Placement draw_placement(Draws& draws) {
  const float half_height = draws.between(7.0f, 10.5f), aspect = draws.between(0.75f, 1.25f),
              slant = draws.between(-0.25f, 0.25f);
  // Rotation by 2 atan(t): no trigonometric function needed.
  const float t = draws.between(-0.13f, 0.13f), cosine = (1 - t * t) / (1 + t * t), sine = 2 * t / (1 + t * t);
  const float shift = std::min(3.5f, 13.5f - half_height);
  const float width = half_height * aspect;
  return {.xx = width * cosine,
          .xy = half_height * (slant * cosine - sine),
          .x0 = 13.5f + draws.between(-shift, shift),
          .yx = width * sine,
          .yy = half_height * (slant * sine + cosine),
          .y0 = 13.5f + draws.between(-shift, shift)};
}

// Squared distance of every pixel to the nearest line drawn so far, where that is below `reach`; kFar
// elsewhere.
class DistanceField {
 public:
  explicit DistanceField(float reach) : reach_(reach) { squared_.fill(kFar); }

  void line(StrokePoint a, StrokePoint b) {
    const int left = first_pixel(std::min(a.x, b.x)), right = last_pixel(std::max(a.x, b.x));
    const int top = first_pixel(std::min(a.y, b.y)), bottom = last_pixel(std::max(a.y, b.y));
    const float dx = b.x - a.x, dy = b.y - a.y, inverse_length2 = 1 / std::max(dx * dx + dy * dy, 1e-6f);
    for (int y = top; y <= bottom; ++y) {
      for (int x = left; x <= right; ++x) {
        const float px = static_cast<float>(x) - a.x, py = static_cast<float>(y) - a.y;
        const float along = std::clamp((px * dx + py * dy) * inverse_length2, 0.0f, 1.0f);
        const float ex = px - along * dx, ey = py - along * dy;
        float& squared = squared_[static_cast<size_t>(y * kSide + x)];
        squared = std::min(squared, ex * ex + ey * ey);
      }
    }
  }

  // Paints the lines, `width` wide with soft edges, over the image. width / 2 + 1/2 is at most the reach.
  void paint(float width, float brightness, std::array<float, kPixels>& image) const {
    for (size_t i = 0; i < squared_.size(); ++i) {
      const float coverage = std::clamp(0.5f * width + 0.5f - std::sqrt(squared_[i]), 0.0f, 1.0f);
      image[i] += coverage * (brightness - image[i]);
    }
  }

 private:
  int first_pixel(float at) const { return std::max(0, static_cast<int>(at - reach_ + 1)); }
  int last_pixel(float at) const { return std::min(kSide - 1, static_cast<int>(std::max(at + reach_, -1.0f))); }

  float reach_;
  std::array<float, kPixels> squared_;
};

// Catmull and Rom's spline from b to c, with the neighbours a and d, at t in [0, 1].
StrokePoint on_curve(StrokePoint a, StrokePoint b, StrokePoint c, StrokePoint d, float t) {
  const auto value = [t](float p, float q, float r, float s) {
    return 0.5f * (2 * q + t * ((r - p) + t * ((2 * p - 5 * q + 4 * r - s) + t * (3 * q - p - 3 * r + s))));
  };
  return {value(a.x, b.x, c.x, d.x), value(a.y, b.y, c.y, d.y)};
}

void draw_stroke(const Stroke& stroke, const Placement& placement, Draws& draws, DistanceField& field) {
  constexpr float kUnsteady = 0.06f;  // how far a point of the outline wanders, in glyph units
  std::array<StrokePoint, kMaxStrokePoints> points;
  const int count = static_cast<int>(stroke.points.size());
  for (int i = 0; i < count; ++i) {
    const StrokePoint p = stroke.points[static_cast<size_t>(i)];
    points[static_cast<size_t>(i)] =
        placement({p.x + draws.between(-kUnsteady, kUnsteady), p.y + draws.between(-kUnsteady, kUnsteady)});
  }
  const auto at = [&](int i) { return points[static_cast<size_t>(std::clamp(i, 0, count - 1))]; };
  for (int i = 0; i + 1 < count; ++i) {
    StrokePoint from = at(i);
    for (int piece = 1; stroke.curved && piece < kLinesPerCurve; ++piece) {
      const StrokePoint to =
          on_curve(at(i - 1), at(i), at(i + 1), at(i + 2), static_cast<float>(piece) / kLinesPerCurve);
      field.line(from, to);
      from = to;
    }
    field.line(from, at(i + 1));
  }
}

void draw_scribbles(Draws& draws, std::array<float, kPixels>& image) {
  const int count = draws.below(3);
  for (int i = 0; i < count; ++i) {
    const float width = draws.between(0.8f, 2.0f), brightness = draws.between(0.3f, 0.8f);
    const StrokePoint from{draws.between(0, kSide), draws.between(0, kSide)};
    const StrokePoint to{from.x + draws.between(-8, 8), from.y + draws.between(-8, 8)};
    DistanceField field(0.5f * width + 0.5f);
    field.line(from, to);
    field.paint(width, brightness, image);
  }
}

Dataset blank_digits(int64_t count) {
  return {.images = Tensor::empty({count, kSide, kSide, 1}, DType::u8, Device{}),
          .labels = Tensor::empty({count}, DType::i32, Device{}),
          .classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
          .normalisation = {.mean = {0.5f}, .std = {0.5f, 1, 1, 1}}};
}

// Digits begin to end - 1 of the dataset, whose digit 0 has the index `first`.
void draw_digits(Dataset& dataset, uint64_t seed, uint32_t first, int64_t begin, int64_t end) {
  uint8_t* images = dataset.images.data<uint8_t>();
  int32_t* labels = dataset.labels.data<int32_t>();
  parallel_for(current_stream(), end - begin, 256, [&](int64_t from, int64_t to) {
    for (int64_t i = begin + from; i < begin + to; ++i)
      labels[i] = draw_synthetic_digit(seed, first + static_cast<uint32_t>(i), images + i * kPixels);
  });
}

}  // namespace

int draw_synthetic_digit(uint64_t seed, uint32_t index, uint8_t* image) {
  Draws draws(seed, index);
  const int label = draws.below(10);
  const std::span<const Glyph> glyphs = digit_glyphs(label);
  const Glyph glyph = glyphs[static_cast<size_t>(draws.below(glyphs.size()))];
  const Placement placement = draw_placement(draws);

  const float background = draws.between(0, 0.15f);
  std::array<float, kPixels> canvas;
  canvas.fill(background);
  draw_scribbles(draws, canvas);
  const float width = draws.between(1.2f, 3.0f), brightness = draws.between(0.6f, 1.0f);
  DistanceField field(0.5f * width + 0.5f);
  for (const Stroke& stroke : glyph) draw_stroke(stroke, placement, draws, field);
  field.paint(width, brightness, canvas);

  const float noise = draws.between(0, 0.2f);
  for (int i = 0; i < kPixels; ++i) {
    const float value = canvas[static_cast<size_t>(i)] + draws.between(-noise, noise);
    image[i] = static_cast<uint8_t>(std::clamp(value, 0.0f, 1.0f) * 255 + 0.5f);
  }
  return label;
}

DatasetSplits draw_synthetic(const DatasetRequest& request) {
  DatasetSplits splits{.train = blank_digits(kTrainDigits), .test = blank_digits(kTestDigits), .warnings = {}};
  const int64_t held_out = std::min(request.holdout, kTrainDigits), rest = kTrainDigits - held_out;
  draw_digits(splits.train, request.seed, 0, 0, request.limit > 0 ? std::min(request.limit, rest) : rest);
  draw_digits(splits.train, request.seed, 0, rest, kTrainDigits);
  if (held_out == 0) draw_digits(splits.test, request.seed, kFirstTestIndex, 0, kTestDigits);
  return splits;
}

}  // namespace convoy
