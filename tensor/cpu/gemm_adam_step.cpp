// Adam's update of a matrix whose gradient is a product, tile by tile as the gradient comes out of the registers: it is never
// written to memory, and what is updated is brought from there while the tile before is multiplied.
#include "tensor/cpu/matrix_product.h"
#include "tensor/cpu/parameter_update.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

static_assert(kMostGemmAdamTerms <= kMaxDepth, "a tile has all terms of its sums");

// Three arrays are updated; narrow vectors have more steps for that.
inline constexpr int64_t kLinesInStep = kSpreads ? 2 : 1;

struct TileUpdate {
  AdamRates rates;
  int64_t columns;
  float *value, *first, *second;  // the tile's first element
  int64_t row_length;             // floats from one row to the next
  LinesAhead<kLinesInStep> ahead;
};

template <int R>
[[gnu::noinline]] void update_tile(const TileInput& in, const TileUpdate& update) {
  float gradient[R][kTileColumns];
  int64_t row_offset[R];
  for (int i = 0; i < R; ++i) row_offset[i] = i * kTileColumns;
  const TileOutput out{.c = gradient[0],
                       .row_offset = row_offset,
                       .columns = kTileColumns,
                       .accumulate = false,
                       .bias = nullptr,
                       .relu = false};
  multiply_one_tile<R, 2, Layout::columns, kRowStride, true>(in, in.a, out, gradient[0], update.ahead);
  const auto update_rows = [&](int64_t columns) {
    for (int i = 0; i < R; ++i) {
      const int64_t at = i * update.row_length;
      adam_update<false>(update.rates, columns, update.value + at, gradient[i], update.first + at, update.second + at);
    }
  };
  if (update.columns == kTileColumns)
    update_rows(kTileColumns);  // a number that the compiler knows
  else
    update_rows(update.columns);
}

struct AdamProduct : MatrixProduct<Layout::columns> {
  AdamRates rates;
  float *value, *first, *second;  // [m,n]
  const int64_t* lines;           // from list_lines()

  void take_tile(const TileInput& in, const PanelTile& tile, LinesOfRun panel) const {
    const int64_t at = tile.row * n + tile.column;
    const float* const next = value + tile.next_row * n + tile.next_column;
    const TileUpdate update{.rates = rates,
                            .columns = tile.columns,
                            .value = value + at,
                            .first = first + at,
                            .second = second + at,
                            .row_length = n,
                            .ahead = {reinterpret_cast<const char*>(next), lines, panel}};
    with_rows(tile.rows, [&]<int R>() { update_tile<R>(in, update); });
  }
};

}  // namespace

void gemm_adam_step(const Stream& stream, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                    const AdamStep& step, const ParameterSlice& weight) {
  if (m == 0 || n == 0) return;
  const Blocking cut = choose_blocking(m, n, k, false);
  int64_t lines[kLinesInStep * kMostGemmAdamTerms];
  const float* const updated[] = {weight.value, weight.first, weight.second};
  list_lines<kLinesInStep>(updated, n, even_part(smaller(cut.rows, m), kTileRows), k, lines);
  const MatrixOperands operands{.m = m, .n = n, .k = k, .a = a, .b = b};
  run_panels(stream, AdamProduct{{operands}, rates_of(step), weight.value, weight.first, weight.second, lines}, cut);
}

}  // namespace convoy::CONVOY_ISA
