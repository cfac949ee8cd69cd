#!/usr/bin/env python3
"""How much larger is the error of Winograd's F(4x4, 3x3) in float32 than that of the direct sum, by the points of its transforms?

    bench/winograd_points.py          # needs numpy; the points are 0, +-a, +-b and infinity

Root mean square over random images and filters of 64 channels, against float64, as a multiple of the direct sum's.
"""

from measurement import Options, need_modules

TILE, TAPS, CHANNELS, TILES = 4, 3, 64, 400
PATCH = TILE + TAPS - 1


def matrices(a, b):
    """A^T [4,6], G [6,3], B^T [6,6] (Toom-Cook)."""
    points = [0, a, -a, b, -b]
    others = [[p for k, p in enumerate(points) if k != j] for j in range(5)]
    back = np.array([[p ** i for p in points] + [float(i == TILE - 1)] for i in range(TILE)])
    filters = np.array([[p ** i / np.prod([p - q for q in others[j]]) for i in range(TAPS)] for j, p in enumerate(points)] + [[0, 0, 1]])
    image = np.array([np.append(np.poly(others[j])[::-1], 0) for j in range(5)] + [np.poly(points)[::-1]])
    return back, filters, image


def winograd(d, g, a, b, kind):
    back, filters, image = (m.astype(kind) for m in matrices(a, b))
    u = np.einsum("ia,cab,jb->cij", filters, g.astype(kind), filters, optimize=True).astype(kind)
    v = np.einsum("ia,tcab,jb->tcij", image, d.astype(kind), image, optimize=True).astype(kind)
    sums = np.zeros((TILES, PATCH, PATCH), kind)
    for c in range(CHANNELS):
        sums += u[c] * v[:, c]
    return np.einsum("ia,tab,jb->tij", back, sums, back, optimize=True)


def direct(d, g, kind):
    y = np.zeros((TILES, TILE, TILE), kind)
    for c in range(CHANNELS):
        for r in range(TAPS):
            for s in range(TAPS):
                y += d.astype(kind)[:, c, r:r + TILE, s:s + TILE] * g.astype(kind)[c, r, s]
    return y


def main():
    draw = np.random.default_rng(0)
    d = draw.uniform(-1, 1, (TILES, CHANNELS, PATCH, PATCH))
    g = draw.uniform(-1, 1, (CHANNELS, TAPS, TAPS))
    exact = direct(d, g, np.float64)

    def error(y):
        return np.sqrt(np.mean((y - exact) ** 2))
    for a, b in ((1, 2), (0.5, 1), (0.5, 2), (0.75, 1.5), (0.625, 1.5)):
        assert np.abs(winograd(d, g, a, b, np.float64) - exact).max() < 1e-9
        print(f"0, +-{a:g}, +-{b:g}: {error(winograd(d, g, a, b, np.float32)) / error(direct(d, g, np.float32)):.1f}")


if __name__ == "__main__":
    Options(__doc__).parse_args()
    need_modules("numpy")
    import numpy as np
    main()
