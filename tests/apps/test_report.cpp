// `convoy report`, `convoy runs` and the pictures of a training, as a user meets them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "apps/letters.h"
#include "apps/run_table.h"
#include "tests/apps/run_convoy.h"
#include "tests/apps/run_folders.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

bool with_gnuplot() { return std::system("gnuplot --version > /dev/null 2>&1") == 0; }

// Python's parser, and a stack: every tag that needs it is closed, in order; nothing is fetched from elsewhere.
const char* const kCheckHtml = R"(
import base64, sys
from html.parser import HTMLParser
VOID = {"meta", "br", "hr", "img", "link", "input", "path", "use", "rect", "circle", "line", "polygon", "polyline"}
class Checker(HTMLParser):
    open = []
    def handle_starttag(self, tag, attributes):
        if tag not in VOID: self.open.append(tag)
        for name, value in attributes:
            if name == "src" and value.startswith("data:image/png;base64,"):
                if not base64.b64decode(value[22:], validate=True).endswith(b"IEND\xaeB`\x82"): sys.exit("a damaged picture")
            elif name in ("src", "href") or (name == "xlink:href" and not value.startswith("#")):
                sys.exit(f"refers to {value}")
    def handle_endtag(self, tag):
        if tag in VOID: return
        if not self.open or self.open[-1] != tag: sys.exit(f"</{tag}> at {self.getpos()}, open: {self.open}")
        self.open.pop()
checker = Checker()
checker.feed(open(sys.argv[1], encoding="utf-8").read())
checker.close()
sys.exit(f"not closed: {checker.open}" if checker.open else 0)
)";

void expect_sound_html(const TemporaryFolder& folder, const std::string& page) {
  if (std::system("python3 -c '' > /dev/null 2>&1") != 0) return;
  const std::string script = folder.path().string() + ".py";
  std::ofstream(script) << kCheckHtml;
  EXPECT_EQ(std::system(("python3 -I " + script + " " + (folder / page).string()).c_str()), 0);
  fs::remove(script);
}

TEST(report, shows_runs_over_each_other_with_what_differs) {
  const TemporaryFolder folder;
  for (const char* seed : {"1", "2"}) {
    ASSERT_EQ(
        run_convoy(folder, small_training({"--epochs", "2", "--seed", seed, "--run", std::string("runs/seed-") + seed}))
            .exit_code,
        0);
  }
  if (with_gnuplot()) {
    ASSERT_EQ(
        run_convoy(folder, {"eval", "--init", "runs/seed-1", "--confusion", "runs/seed-1/confusion.png"}).exit_code, 0);
  }
  const Outcome outcome = run_convoy(folder, {"report", "runs/seed-1", "runs/seed-2/", "--output", "both.html"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.error, "");
  EXPECT_TRUE(has(outcome.out, "report   both.html (2 runs)\n")) << outcome.out;
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"both.html", "runs"}));
  const std::string page = read_text(folder / "both.html");
  EXPECT_TRUE(
      has(page, "<td>seed-1</td><td>done</td><td>lenet5</td><td>synthetic</td><td class=\"number\">2 of 2</td>"));
  EXPECT_TRUE(has(page, "<td>seed</td><td>1</td><td>2</td>")) << "the setting that differs";
  EXPECT_FALSE(has(page, "<td>batch</td><td>64</td><td>64</td>")) << "one that does not";
  EXPECT_TRUE(has(page, "<td>batch</td><td>64</td>"));
  EXPECT_TRUE(has(page,
                  "<code>convoy train --dataset synthetic --model lenet5 --holdout 300 --limit 200 --epochs 2 "
                  "--seed 2</code>"));
  if (with_gnuplot()) {
    EXPECT_EQ(std::count(page.begin(), page.end(), '\f'), 0);
    size_t pictures = 0;
    for (size_t at = 0; (at = page.find("<svg", at)) != std::string::npos; ++at) ++pictures;
    EXPECT_EQ(pictures, 3u);
    EXPECT_TRUE(has(page, "<text>seed-2</text>"));
    EXPECT_TRUE(
        has(page, "<figcaption>seed-1</figcaption>\n<img alt=\"seed-1\" src=\"data:image/png;base64,iVBORw0KGgo"));
  } else {
    EXPECT_TRUE(has(page, "gnuplot-nox"));
  }
  EXPECT_TRUE(has(page, "convoy eval --init runs/seed-2/ --confusion runs/seed-2/confusion.png"));
  expect_sound_html(folder, "both.html");
}

TEST(report, tells_of_runs_that_did_not_come_to_their_end) {
  const TemporaryFolder folder;
  write_config(folder / "killed");
  write_log(folder / "killed", step_line(1, 2.3) + step_line(2, 2) + "{\"event\":\"epo");
  write_config(folder / "failed");
  write_log(folder / "failed",
            step_line(1, 2.3) + "{\"event\":\"failed\",\"message\":\"the <loss> is \\\"nan\\\" & so on\"}\n");
  const Outcome outcome = run_convoy(folder, {"report", "killed", "failed"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.error, "convoy: warning: killed/metrics.jsonl:3: the last line is not whole, and left out\n");
  const std::string page = read_text(folder / "report.html");
  EXPECT_TRUE(has(page, "<td class=\"failed\">killed</td>")) << page;
  EXPECT_TRUE(has(page, "<td class=\"failed\">failed: the &lt;loss&gt; is &quot;nan&quot; &amp; so on</td>"));
  EXPECT_TRUE(has(page, "killed/metrics.jsonl:3: the last line is not whole"));
  EXPECT_TRUE(has(page, "0 of 2"));
  expect_sound_html(folder, "report.html");
}

TEST(report, names_and_models_cannot_break_the_page) {
  const TemporaryFolder folder;
  const std::string name = "a <b> & \"c\" \\ $x `y` ; 'z'";
  write_run(folder / name, 90, {{"model", "conv 4 3x3 <x>; linear 10"}});
  const Outcome outcome = run_convoy(folder, {"report", name});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  const std::string page = read_text(folder / "report.html");
  EXPECT_TRUE(has(page, "a &lt;b&gt; &amp; &quot;c&quot;")) << page;
  EXPECT_FALSE(has(page, "<b>"));
  EXPECT_FALSE(has(outcome.out, "no pictures") && with_gnuplot()) << outcome.out;
  expect_sound_html(folder, "report.html");
}

TEST(report, commands_are_words_for_a_shell) {
  const TemporaryFolder folder;
  write_run(folder / "a", 90, {{"dataset", "folder:/my pets"}});
  ASSERT_EQ(run_convoy(folder, {"report", "a"}).exit_code, 0);
  EXPECT_TRUE(has(read_text(folder / "report.html"), "convoy train --dataset 'folder:/my pets' --model"));
}

TEST(report, without_gnuplot_says_how_to_get_pictures) {
  const TemporaryFolder folder;
  write_run(folder / "a", 90);
  const Outcome outcome = run_convoy(folder, {"report", "a"}, {{"PATH", "/nowhere"}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_TRUE(has(outcome.out, "no pictures: gnuplot is not installed (apt install gnuplot-nox)\n")) << outcome.out;
  EXPECT_TRUE(has(read_text(folder / "report.html"), "apt install gnuplot-nox"));
}

TEST(report, a_gnuplot_that_fails_is_told_with_its_last_words) {
  const TemporaryFolder folder, programs;
  write_run(folder / "a", 90);
  std::ofstream(programs / "gnuplot")
      << "#!/bin/sh\necho 'plot $x'>&2; echo '    ^'>&2; echo line 3: no such thing>&2; echo>&2; exit 1\n";
  fs::permissions(programs / "gnuplot", fs::perms::owner_all);
  const Outcome outcome = run_convoy(folder, {"report", "a"}, {{"PATH", programs.path().string() + ":/usr/bin:/bin"}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_TRUE(has(outcome.out, "no pictures: gnuplot failed: line 3: no such thing\n")) << outcome.out;
}

TEST(report, wrong_use_is_one_line_and_leaves_nothing_behind) {
  struct Mistake {
    std::vector<std::string> arguments;
    int exit_code;
    std::string told;
  };
  const TemporaryFolder folder;
  write_run(folder / "a", 90);
  write_run(folder / "bad", 90);
  write_log(folder / "bad", step_line(1, 2) + "nonsense\n" + step_line(2, 2));
  for (const Mistake& mistake : std::vector<Mistake>{
           {{"report"}, 2, "report: name the folders of runs, like convoy report runs/one runs/other"},
           {{"report", "a", "none"}, 3, "none/config.json: cannot be read; is none the folder of a run?"},
           {{"report", "bad"}, 3, "bad/metrics.jsonl:2: is not a JSON object"},
           {{"report", "a", "./a"}, 2, "report: ./a is named twice"},
           {{"report", "a", "--output", "a"}, 5, "--output a: is a folder, the name of a file is wanted"},
           {{"report", "a", "--output", "no/where.html"},
            5,
            "no/where.html: cannot be written: No such file or directory"},
           {{"report", "a", "--outptu", "x"}, 2, "unknown option '--outptu', did you mean '--output'?"},
           {{"runs", "none"}, 3, "none: is not a folder"},
           {{"runs", "a", "b"}, 2, "unknown argument 'b'"},
           {{"train", "--plots", "maybe"}, 2, "--plots: 'maybe' is neither on nor off"},
       }) {
    SCOPED_TRACE(nlohmann::json(mistake.arguments).dump());
    const Outcome outcome = run_convoy(folder, mistake.arguments);
    EXPECT_EQ(outcome.exit_code, mistake.exit_code);
    EXPECT_EQ(outcome.error.rfind("convoy: " + mistake.told, 0), 0u) << outcome.error;
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"a", "bad"}));
  }
}

TEST(runs, lists_them_with_the_best_of_each_data_set) {
  const TemporaryFolder folder;
  write_run(folder / "runs/b-good", 95, {{"began", "2026-11-24T09:31:00Z"}});
  write_run(folder / "runs/a-late", 93.456, {{"began", "2026-11-25T00:00:00Z"}});
  write_run(folder / "runs/other", 50, {{"dataset", "mnist"}});
  write_config(folder / "runs/killed");
  write_log(folder / "runs/killed", step_line(1, 2));
  write_run(folder / "runs/bad", 99);
  write_log(folder / "runs/bad", "nonsense\n" + step_line(1, 2));
  fs::create_directory(folder / "runs/compare-1");
  std::ofstream(folder / "runs/file") << "";
  const Outcome outcome = run_convoy(folder, {"runs"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.out,
            "name    began (UTC)       model   data       strategy  epochs  steps   accuracy  state\n"
            "bad     -                 -       -          -              -      -          -  damaged\n"
            "killed  2026-11-24 09:30  lenet5  synthetic  serial       0/2      0          -  killed\n"
            "other   2026-11-24 09:30  lenet5  mnist      serial       2/2      4  50.00 % *  done\n"
            "b-good  2026-11-24 09:31  lenet5  synthetic  serial       2/2      4  95.00 % *  done\n"
            "a-late  2026-11-25 00:00  lenet5  synthetic  serial       2/2      4  93.46 %    done\n"
            "damaged  runs/bad/metrics.jsonl:1: is not a JSON object\n");
  const nlohmann::json list = nlohmann::json::parse(run_convoy(folder, {"runs", "runs", "--json"}).out);
  ASSERT_EQ(list.size(), 5u);
  EXPECT_EQ(list[0].at("message"), "runs/bad/metrics.jsonl:1: is not a JSON object");
  EXPECT_EQ(list[1].at("state"), "killed");
  EXPECT_TRUE(list[1].at("accuracy_percent").is_null());
  EXPECT_EQ(list[4].at("accuracy_percent"), 93.456);
  EXPECT_EQ(list[4].at("best"), false);
  EXPECT_EQ(list[3].at("best"), true);
  EXPECT_EQ(list[3].at("folder"), "runs/b-good");
}

TEST(runs, columns_are_left_out_on_a_narrow_terminal) {
  const TemporaryFolder folder;
  write_run(folder / "lenet5-synthetic-20261124-093000", 90);
  write_run(folder / "b", 91);
  const std::vector<ListedRun> runs = list_runs(folder.path());
  const auto widest = [](const std::string& table) {
    size_t most = 0;
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) most = std::max(most, static_cast<size_t>(letters_of(line)));
    return most;
  };
  for (const size_t columns : {40, 50, 60, 70, 80, 100}) EXPECT_LE(widest(run_table(runs, columns)), columns);
  EXPECT_TRUE(has(run_table(runs, {}), "began (UTC)"));
  EXPECT_TRUE(
      has(run_table(runs, 100), "lenet5-synthetic-20261124-093000  lenet5  synthetic  serial       2/2      4  "));
  EXPECT_TRUE(has(run_table(runs, 60), "lenet5-synthetic-20261124-093000  90.00 %"));
  const std::string narrow = run_table(runs, 40);
  EXPECT_TRUE(has(narrow, "lenet5-synthetic-2026…  90.00 %    done")) << narrow;
  EXPECT_TRUE(has(narrow, "b                       91.00 % *  done")) << narrow;
}

TEST(runs, names_are_counted_in_letters_and_described_models_told_apart) {
  const TemporaryFolder folder;
  write_run(folder / "größe", 90, {{"model", "conv 4 3x3; relu; flatten; linear 10"}});
  write_run(folder / "b", 91, {{"model", "flatten; linear 10"}, {"dataset", "folder:/a/b/pets"}});
  const std::string table = run_table(list_runs(folder.path()), {});
  EXPECT_TRUE(has(table, "\nb      2026")) << table;
  EXPECT_TRUE(has(table, "flatten; linear 10        pets  ")) << table;
  EXPECT_TRUE(has(table, "conv 4 3x3; relu; flatt…")) << table;
}

TEST(runs, a_run_on_nothing_is_damaged_and_hides_no_other) {
  const TemporaryFolder folder;
  write_run(folder / "a", 90);
  write_run(folder / "b", 91, {{"training_images", 0}});
  const Outcome outcome = run_convoy(folder, {"runs", "."});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(has(outcome.out, "b/config.json: 'training_images' is 0")) << outcome.out;
  EXPECT_TRUE(has(outcome.out, "90.00 %")) << outcome.out;
}

TEST(runs, nothing_to_list_is_no_mistake) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_convoy(folder, {"runs"}).out, "no runs in runs: convoy train makes them\n");
  EXPECT_EQ(run_convoy(folder, {"runs", "--json"}).out, "[]\n");
  EXPECT_EQ(run_convoy(folder, {"runs", "."}).out, "no runs in .: convoy train makes them\n");
}

TEST(runs, a_training_that_goes_on_is_running) {
  const TemporaryFolder folder, elsewhere;
  Process process(folder, small_training({"--epochs", "100000", "--run", "runs/a"}));
  wait_for("an epoch", [&] { return !read_text(folder / "runs/a/metrics.csv").empty(); });
  const Outcome outcome = run_convoy(elsewhere, {"runs", (folder / "runs").string(), "--json"});
  EXPECT_EQ(nlohmann::json::parse(outcome.out).at(0).at("state"), "running") << outcome.error;
  process.send(SIGTERM);
  EXPECT_EQ(process.wait().exit_code, 143);
  EXPECT_EQ(nlohmann::json::parse(run_convoy(elsewhere, {"runs", (folder / "runs").string(), "--json"}).out)
                .at(0)
                .at("state"),
            "interrupted");
}

std::vector<std::string> pictured_training(const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"train", "--dataset",   "synthetic", "--limit",  "200", "--holdout",
                                     "100",   "--log-every", "1",         "--epochs", "2"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(plots, are_drawn_at_the_end_of_a_training_unless_told_otherwise) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, pictured_training({"--run", "a"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  for (const char* name : {"loss", "accuracy", "lr"}) {
    EXPECT_TRUE(fs::exists(folder / "a/plots" / (std::string(name) + ".gp")));
    if (!with_gnuplot()) continue;
    EXPECT_TRUE(read_text(folder / "a/plots" / (std::string(name) + ".png")).starts_with("\x89PNG"));
    EXPECT_TRUE(has(read_text(folder / "a/plots" / (std::string(name) + ".svg")), "</svg>"));
  }
  EXPECT_TRUE(has(outcome.out, with_gnuplot() ? "\nplots    a/plots\n" : "\nno pictures: gnuplot is not"))
      << outcome.out;
  ASSERT_EQ(run_convoy(folder, pictured_training({"--run", "b", "--plots", "off"})).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder / "b/plots"));
}

// The training is over and saved: what a first Ctrl-C ends is the drawing.
TEST(plots, an_interrupt_while_they_are_drawn_ends_the_drawing_alone) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "bin");
  const fs::path slow = folder / "bin/gnuplot", drawing = folder / "drawing";
  std::ofstream(slow) << "#!/bin/sh\n: > '" << drawing.string() << "'\nexec sleep 60\n";
  fs::permissions(slow, fs::perms::owner_all);
  Process process(folder, pictured_training({"--run", "a", "--save", "weights"}),
                  {{"PATH", (folder / "bin").string() + ":" + std::getenv("PATH")}});
  wait_for("a drawing", [&] { return fs::exists(drawing); });
  process.send(SIGINT);
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_TRUE(has(outcome.out, "\nno pictures: interrupted")) << outcome.out;
  EXPECT_EQ(read_events(folder / "a").back().at("event"), "summary");
  EXPECT_TRUE(fs::exists(folder / "weights"));
}

TEST(plots, without_gnuplot_a_training_goes_well_and_says_so) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, pictured_training({"--run", "a"}), {{"PATH", "/nowhere"}});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.error, "");
  EXPECT_TRUE(has(outcome.out,
                  "\nno pictures: gnuplot is not installed (apt install gnuplot-nox); with it, draw the "
                  "pictures from the .gp files in a/plots\n"))
      << outcome.out;
  EXPECT_EQ(read_events(folder / "a").back().at("event"), "summary");
}

}  // namespace
}  // namespace convoy
