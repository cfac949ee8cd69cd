#include "data/digit_strokes.h"

namespace convoy {
namespace {

constexpr bool kCurved = true, kStraight = false;

constexpr StrokePoint kZeroRing[] = {{0.05f, -1},  {-0.4f, -0.7f}, {-0.55f, 0},   {-0.4f, 0.7f}, {0, 1},
                                     {0.4f, 0.7f}, {0.55f, 0},     {0.4f, -0.7f}, {0.05f, -1}};
constexpr Stroke kZero[] = {{kCurved, kZeroRing}};

constexpr StrokePoint kOneStem[] = {{0, -1}, {0, 1}};
constexpr StrokePoint kOneHooked[] = {{-0.35f, -0.6f}, {0.05f, -1}, {0.05f, 1}};
constexpr StrokePoint kOneFoot[] = {{-0.3f, 1}, {0.4f, 1}};
constexpr Stroke kOnePlain[] = {{kStraight, kOneStem}};
constexpr Stroke kOneWithHook[] = {{kStraight, kOneHooked}};
constexpr Stroke kOneWithFoot[] = {{kStraight, kOneHooked}, {kStraight, kOneFoot}};

constexpr StrokePoint kTwoArc[] = {{-0.5f, -0.55f}, {-0.3f, -0.92f}, {0.1f, -1}, {0.45f, -0.75f},
                                   {0.42f, -0.3f},  {0, 0.3f},       {-0.55f, 1}};
constexpr StrokePoint kTwoBase[] = {{-0.55f, 1}, {0.55f, 1}};
constexpr StrokePoint kTwoLoop[] = {{-0.5f, -0.6f}, {0, -1},       {0.45f, -0.6f}, {0.15f, 0.2f}, {-0.35f, 0.85f},
                                    {-0.55f, 0.7f}, {-0.3f, 0.6f}, {0.1f, 0.9f},   {0.6f, 0.85f}};
constexpr Stroke kTwoAngular[] = {{kCurved, kTwoArc}, {kStraight, kTwoBase}};
constexpr Stroke kTwoLooped[] = {{kCurved, kTwoLoop}};

constexpr StrokePoint kThreeTop[] = {{-0.45f, -0.7f}, {-0.1f, -1}, {0.35f, -0.8f}, {0.35f, -0.3f}, {-0.1f, -0.05f}};
constexpr StrokePoint kThreeBottom[] = {{-0.1f, -0.05f}, {0.4f, 0.15f},   {0.5f, 0.6f},
                                        {0.1f, 1},       {-0.35f, 0.92f}, {-0.55f, 0.65f}};
constexpr StrokePoint kThreeRoof[] = {{-0.45f, -1}, {0.45f, -1}, {-0.05f, -0.2f}};
constexpr StrokePoint kThreeBelly[] = {{-0.05f, -0.2f}, {0.42f, 0},     {0.5f, 0.5f},
                                       {0.15f, 0.95f},  {-0.3f, 0.95f}, {-0.55f, 0.7f}};
constexpr Stroke kThreeRound[] = {{kCurved, kThreeTop}, {kCurved, kThreeBottom}};
constexpr Stroke kThreeFlat[] = {{kStraight, kThreeRoof}, {kCurved, kThreeBelly}};

constexpr StrokePoint kFourOpenHook[] = {{-0.35f, -1}, {-0.5f, 0.15f}, {0.6f, 0.15f}};
constexpr StrokePoint kFourOpenStem[] = {{0.3f, -0.6f}, {0.25f, 1}};
constexpr StrokePoint kFourClosedHook[] = {{0.25f, 1}, {0.25f, -1}, {-0.6f, 0.35f}, {0.6f, 0.35f}};
constexpr Stroke kFourOpen[] = {{kStraight, kFourOpenHook}, {kStraight, kFourOpenStem}};
constexpr Stroke kFourClosed[] = {{kStraight, kFourClosedHook}};

constexpr StrokePoint kFiveFlag[] = {{0.5f, -1}, {-0.35f, -1}, {-0.42f, -0.15f}};
constexpr StrokePoint kFiveBelly[] = {{-0.42f, -0.15f}, {0, -0.32f}, {0.42f, -0.1f}, {0.52f, 0.4f},
                                      {0.25f, 0.9f},    {-0.2f, 1},  {-0.55f, 0.75f}};
constexpr Stroke kFive[] = {{kStraight, kFiveFlag}, {kCurved, kFiveBelly}};

constexpr StrokePoint kSixCurl[] = {{0.4f, -0.95f}, {-0.1f, -0.75f}, {-0.45f, -0.1f}, {-0.48f, 0.5f}, {-0.2f, 0.95f},
                                    {0.2f, 0.98f},  {0.48f, 0.6f},   {0.35f, 0.12f},  {-0.05f, 0},    {-0.42f, 0.3f}};
constexpr StrokePoint kSixStem[] = {{0.25f, -1}, {-0.42f, 0.3f}};
constexpr StrokePoint kSixRing[] = {{-0.42f, 0.3f}, {-0.42f, 0.75f}, {0, 1},        {0.42f, 0.75f},
                                    {0.42f, 0.3f},  {0, 0.05f},      {-0.42f, 0.3f}};
constexpr Stroke kSixRound[] = {{kCurved, kSixCurl}};
constexpr Stroke kSixStraight[] = {{kStraight, kSixStem}, {kCurved, kSixRing}};

constexpr StrokePoint kSevenBend[] = {{-0.5f, -1}, {0.5f, -1}, {-0.15f, 1}};
constexpr StrokePoint kSevenBar[] = {{-0.3f, 0}, {0.45f, 0}};
constexpr StrokePoint kSevenRoof[] = {{-0.52f, -0.75f}, {-0.5f, -1}, {0.5f, -0.95f}};
constexpr StrokePoint kSevenLeg[] = {{0.5f, -0.95f}, {0.2f, -0.35f}, {0, 0.3f}, {-0.05f, 1}};
constexpr Stroke kSevenPlain[] = {{kStraight, kSevenBend}};
constexpr Stroke kSevenBarred[] = {{kStraight, kSevenBend}, {kStraight, kSevenBar}};
constexpr Stroke kSevenSerif[] = {{kStraight, kSevenRoof}, {kCurved, kSevenLeg}};

constexpr StrokePoint kEightTop[] = {{0, -0.05f},    {-0.4f, -0.3f}, {-0.35f, -0.8f}, {0, -1},
                                     {0.35f, -0.8f}, {0.4f, -0.3f},  {0, -0.05f}};
constexpr StrokePoint kEightBottom[] = {{0, -0.05f},   {-0.48f, 0.25f}, {-0.45f, 0.8f}, {0, 1},
                                        {0.45f, 0.8f}, {0.48f, 0.25f},  {0, -0.05f}};
constexpr StrokePoint kEightFigure[] = {{0.4f, -0.75f}, {0, -1},        {-0.4f, -0.7f}, {-0.2f, -0.25f},
                                        {0.3f, 0.2f},   {0.42f, 0.7f},  {0, 1},         {-0.42f, 0.7f},
                                        {-0.3f, 0.2f},  {0.2f, -0.25f}, {0.4f, -0.75f}};
constexpr Stroke kEightRings[] = {{kCurved, kEightTop}, {kCurved, kEightBottom}};
constexpr Stroke kEightCrossed[] = {{kCurved, kEightFigure}};

constexpr StrokePoint kNineRing[] = {{0.42f, -0.4f},   {0.1f, -0.02f},  {-0.35f, -0.15f}, {-0.45f, -0.6f},
                                     {-0.15f, -0.98f}, {0.25f, -0.92f}, {0.42f, -0.4f}};
constexpr StrokePoint kNineStem[] = {{0.42f, -0.8f}, {0.35f, 1}};
constexpr StrokePoint kNineTail[] = {{0.42f, -0.5f}, {0.45f, 0.2f}, {0.2f, 0.85f}, {-0.2f, 1}, {-0.45f, 0.8f}};
constexpr Stroke kNineStraight[] = {{kCurved, kNineRing}, {kStraight, kNineStem}};
constexpr Stroke kNineRound[] = {{kCurved, kNineRing}, {kCurved, kNineTail}};

constexpr Glyph kZeros[] = {kZero};
constexpr Glyph kOnes[] = {kOnePlain, kOneWithHook, kOneWithFoot};
constexpr Glyph kTwos[] = {kTwoAngular, kTwoLooped};
constexpr Glyph kThrees[] = {kThreeRound, kThreeFlat};
constexpr Glyph kFours[] = {kFourOpen, kFourClosed};
constexpr Glyph kFives[] = {kFive};
constexpr Glyph kSixes[] = {kSixRound, kSixStraight};
constexpr Glyph kSevens[] = {kSevenPlain, kSevenBarred, kSevenSerif};
constexpr Glyph kEights[] = {kEightRings, kEightCrossed};
constexpr Glyph kNines[] = {kNineStraight, kNineRound};
constexpr std::span<const Glyph> kDigits[] = {kZeros, kOnes,  kTwos,   kThrees, kFours,
                                              kFives, kSixes, kSevens, kEights, kNines};

}  // namespace

std::span<const Glyph> digit_glyphs(int digit) { return kDigits[digit]; }

}  // namespace convoy
