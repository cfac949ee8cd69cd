"""The plots of scaling_model.py: predicted efficiency by number of ranks, one field for each network and kind of scaling, by gnuplot."""
import subprocess
import sys

COLOURS = ("#0072b2", "#d55e00")  # of ring and tree; readable without telling red from green


def fields(curves):
    """The plot commands of all fields, data inline."""
    models = list(dict.fromkeys(model for model, _ in curves))
    lines = [f"set multiplot layout {len(models)},2"]
    for number, ((model, strong), by_name) in enumerate(curves.items()):
        lines.append(f"set title \"{model}, {'strong' if strong else 'weak'} scaling\"")
        # Below the last curves of strong scaling, which stay high for long, is room for names.
        lines.append("set key bottom left Left reverse samplen 3" if number == len(curves) - 1 else "unset key")
        for index, points in enumerate(by_name.values()):
            lines += [f"$curve{number}_{index} << EOD", *(f"{ranks} {percent:.3f}" for ranks, percent in points), "EOD"]
        lines.append("plot " + ", ".join(
            f"$curve{number}_{index} using 1:2 with lines linewidth 2 dashtype {1 + index // 2} linecolor rgb '{COLOURS[index % 2]}' title \"{name}\""
            for index, name in enumerate(by_name)) + ", $measured using 1:2 with lines linecolor rgb '#999999' notitle")
    return [*lines, "unset multiplot"]


def draw(curves, stem):
    """Writes <stem>.svg and <stem>.png. curves: (model, strong) -> {name of curve: [(ranks, percent), …]}."""
    height = 300 * len({model for model, _ in curves})
    for terminal, suffix in ((f"svg size 1000,{height} font 'sans,11' background rgb 'white'", "svg"),
                             (f"pngcairo size 1000,{height} font 'sans,10'", "png")):
        script = [f"set terminal {terminal}", f"set output '{stem}.{suffix}'", "set logscale x 2", "set xrange [1:4096]", "set yrange [0:105]",
                  "set xlabel 'ranks; left of the grey line: measured sizes, right of it: extrapolated'", "set ylabel 'predicted efficiency, %'",
                  "set grid linecolor rgb '#dddddd'", "$measured << EOD", "2 0", "2 105", "EOD", *fields(curves)]
        try:
            subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"scaling_plots: gnuplot could not draw {stem}.{suffix}: {error}")
