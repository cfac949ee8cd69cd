// Folders of pictures as a user has them: trained on, predicted, evaluated, shown and converted.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "data/image_decoder.h"
#include "data/image_folder.h"
#include "tests/apps/resumed_training.h"
#include "tests/apps/run_convoy.h"
#include "tests/data/pictures.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// "red" and "sky" pictures of about one colour, of many sizes.
class Pictures : public WithImageDecoder {
 protected:
  void SetUp() override {
    WithImageDecoder::SetUp();
    if (IsSkipped()) return;
    for (const char* part : {"train", "test"}) {
      for (int i = 0; i < 12; ++i) {
        const auto shade = static_cast<uint8_t>(17 * i + (part[1] == 'r' ? 5 : 0));
        write_picture(folder_ / fmt::format("pets/{}/red/{}.png", part, i), png(8 + i, 20 - i, 230, shade, 40));
        const auto sky = [=](int x, int, int channel) {
          return static_cast<uint8_t>(channel == 2 ? 220 : shade + 2 * x);
        };
        write_picture(folder_ / fmt::format("pets/{}/sky/{}.bmp", part, i), bmp(10, 11 + i, sky));
      }
    }
  }

  Outcome run(const Arguments& arguments, const std::map<std::string, std::string>& environment = {}) const {
    return run_convoy(folder_, arguments, environment);
  }
  void train() const {
    const Outcome outcome =
        run({"train", "--dataset", "folder:pets", "--image-size", "8", "--model", kModel, "--epochs", "12", "--batch",
             "8", "--lr", "0.01", "--run", "run", "--save", "weights"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
    EXPECT_EQ(outcome.error, "");
    EXPECT_TRUE(has(outcome.out, "folder:pets: 24 training, 24 test images, 8x8x3, 2 classes")) << outcome.out;
  }

  static constexpr const char* kModel = "conv 4 3x3 pad 1; relu; flatten; linear 2";
  const TemporaryFolder folder_;
};

std::vector<nlohmann::json> objects(const std::string& text) {
  std::vector<nlohmann::json> all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
  return all;
}

TEST_F(Pictures, are_trained_on_and_predicted_with_the_probabilities_of_eval) {
  train();
  const nlohmann::json config = nlohmann::json::parse(read_text(folder_ / "run/config.json"));
  EXPECT_EQ(config.at("classes"), nlohmann::json({"red", "sky"}));
  EXPECT_EQ(config.at("image"), nlohmann::json({8, 8, 3}));
  EXPECT_EQ(config.at("mean").size(), 3u);

  const Outcome evaluated = run({"eval", "--init", "run", "--logits", "logits.npy"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.error;
  EXPECT_TRUE(has(evaluated.out, "test accuracy 100.00 %")) << evaluated.out;
  const std::string bytes = read_text(folder_ / "logits.npy").substr(128);
  std::vector<float> logits(48);
  ASSERT_EQ(bytes.size(), 192u);
  std::memcpy(logits.data(), bytes.data(), 192);

  // Without the data, but for the pictures: the run knows how they were normalised. In batches, too.
  fs::remove_all(folder_ / "pets/train");
  for (const Arguments& more : {Arguments{}, Arguments{"--batch", "5"}}) {
    Arguments arguments{"predict", "--init", "run", "--json", "--top", "2", "pets/test"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome predicted = run(arguments);
    ASSERT_EQ(predicted.exit_code, 0) << predicted.error;
    const std::vector<nlohmann::json> images = objects(predicted.out);
    ASSERT_EQ(images.size(), 24u);
    for (size_t i = 0; i < 24; ++i) {
      const auto& best = images[i].at("predictions").at(0);
      const bool red = i < 12;
      EXPECT_EQ(best.at("class"), red ? "red" : "sky");
      EXPECT_TRUE(images[i].at("image").get<std::string>().starts_with(red ? "pets/test/red/" : "pets/test/sky/"));
      const double difference = logits[2 * i] - logits[2 * i + 1];
      EXPECT_NEAR(best.at("probability").get<double>(), 1 / (1 + std::exp(red ? -difference : difference)), 1e-5);
      EXPECT_NEAR(best.at("probability").get<double>() + images[i]["predictions"][1]["probability"].get<double>(), 1,
                  1e-9);
    }
  }
}

TEST_F(Pictures, are_predicted_by_runs_checkpoints_and_weights_alike) {
  train();
  const auto predict = [&](const Arguments& network) {
    Arguments arguments{"predict", "pets/test/red/3.png", "--top", "1"};
    arguments.insert(arguments.end(), network.begin(), network.end());
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
    return outcome.out;
  };
  const std::string expected = predict({"--init", "run/checkpoints/step-00000036.safetensors"});
  EXPECT_TRUE(expected.starts_with("pets/test/red/3.png  red ")) << expected;
  EXPECT_TRUE(expected.ends_with(" %\n")) << expected;
  EXPECT_EQ(predict({"--init", "weights", "--model", kModel, "--dataset", "folder:pets", "--image-size", "8"}),
            expected);
  fs::remove(folder_ / "run/checkpoints/best.safetensors");
  EXPECT_EQ(predict({"--init", "run"}), expected);
  const Outcome alone = run({"predict", "--init", "weights", "pets/test/red/3.png"});
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_TRUE(has(alone.error, "weights holds weights alone; name its network with --model, and with --dataset"))
      << alone.error;
}

TEST_F(Pictures, of_any_size_and_colour_fit_a_network_for_small_grey_images) {
  ASSERT_EQ(run(small_training({"--model", "flatten; linear 10", "--run", "digits"})).exit_code, 0);
  write_picture(folder_ / "wide.png", png(300, 100, 250, 20, 90));
  write_picture(folder_ / "photo.jpg", jpeg());
  write_picture(folder_ / "grey.png", png(28, 28, 1, [](int x, int, int) { return static_cast<uint8_t>(x); }));
  const Outcome outcome = run({"predict", "--init", "digits", "wide.png", "photo.jpg", "grey.png"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 3);
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '%'), 9) << "three classes each";
}

TEST_F(Pictures, that_are_bad_are_told_and_the_others_predicted) {
  train();
  write_picture(folder_ / "mixed/0.png", "no picture");
  write_picture(folder_ / "mixed/1.png", png(9, 9, 230, 30, 40));
  write_picture(folder_ / "mixed/2.jpg", jpeg().substr(0, 100));
  fs::create_directory(folder_ / "nothing");
  const Outcome outcome = run({"predict", "--init", "run", "mixed", "missing.png", "nothing"});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_TRUE(outcome.out.starts_with("mixed/1.png  red ")) << outcome.out;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1) << outcome.out;
  for (const char* told : {"convoy: nothing: holds no images", "convoy: mixed/0.png: no PNG, JPEG or BMP image",
                           "convoy: mixed/2.jpg: ", "convoy: missing.png: cannot be read: No such file"})
    EXPECT_TRUE(has(outcome.error, told)) << outcome.error;
  EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 4) << outcome.error;

  write_picture(folder_ / "pets/train/red/bad.png", "no picture");
  const Outcome training = run({"train", "--dataset", "folder:pets"});
  EXPECT_EQ(training.exit_code, 3);
  EXPECT_EQ(training.error,
            "convoy: pets/train/red/bad.png: no PNG, JPEG or BMP image that Convoy can read: unknown image type\n");
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
  const Outcome skipped =
      run({"train", "--dataset", "folder:pets", "--skip-bad-images", "on", "--model", kModel, "--steps", "1"});
  EXPECT_EQ(skipped.exit_code, 0) << skipped.error;
  EXPECT_TRUE(has(skipped.error, "warning: pets: 1 image left out")) << skipped.error;
  EXPECT_TRUE(has(skipped.out, "runs/custom-pets-")) << skipped.out;
}

TEST_F(Pictures, are_resumed_with_and_summarised) {
  const Arguments training{"train", "--dataset", "folder:pets", "--image-size", "8",  "--model",
                           kModel,  "--batch",   "8",           "--epochs",     "100"};
  Arguments whole = training, part = training;
  whole.insert(whole.end(), {"--run", "whole"});
  part.insert(part.end(), {"--run", "part"});
  ASSERT_EQ(run(whole).exit_code, 0);
  const Outcome summary = run({"summary", "--dataset", "folder:pets", "--image-size", "8", "--model", kModel});
  EXPECT_TRUE(has(summary.out, "on folder:pets (8x8x3, 2 classes)")) << summary.out << summary.error;
  Process interrupted(folder_, part);
  wait_for("a checkpoint", [&] {  // a whole one
    return std::ranges::any_of(checkpoints_of(folder_ / "part"),
                               [](const std::string& name) { return name.ends_with(".safetensors"); });
  });
  interrupted.send(SIGKILL);
  interrupted.wait();
  write_picture(folder_ / "pets/train/red/0.png", png(8, 8, 0, 0, 0));
  const Outcome changed = run({"train", "--resume", "part"});
  EXPECT_EQ(changed.exit_code, 3);
  EXPECT_TRUE(has(changed.error, "was begun with other images of folder:")) << changed.error;
  write_picture(folder_ / "pets/train/red/0.png", png(8, 20, 230, 5, 40));
  fs::rename(folder_ / "pets", folder_ / "moved");
  const Outcome moved = run({"train", "--resume", "part"});
  EXPECT_EQ(moved.exit_code, 3);
  EXPECT_TRUE(has(moved.error, (folder_ / "pets").string() + ": there is no such folder")) << moved.error;
  ASSERT_EQ(run({"train", "--resume", "part", "--dataset", "folder:moved"}).exit_code, 0);
  fs::rename(folder_ / "moved", folder_ / "pets");
  const TemporaryFolder elsewhere;
  EXPECT_EQ(run_convoy(elsewhere, {"eval", "--init", (folder_ / "part").string()}).exit_code, 0);
  EXPECT_EQ(step_lines(folder_ / "part"), step_lines(folder_ / "whole"));
  const Outcome no_data = run({"train", "--resume", "whole", "--data", "elsewhere"});
  EXPECT_EQ(no_data.exit_code, 2);
  EXPECT_TRUE(has(no_data.error, "--data: has no effect")) << no_data.error;
}

TEST_F(Pictures, mistakes_on_the_command_line_are_told) {
  for (const auto& [arguments, told] : std::vector<std::pair<Arguments, std::string>>{
           {{"predict", "a.png"}, "name the network with --init RUN"},
           {{"predict", "--init", "run"}, "which images?"},
           {{"train", "--dataset", "folder"}, "name the folder, as folder:PATH"},
           {{"train", "--dataset", "foldr:pets"}, "did you mean 'folder'"},
           {{"train", "--dataset", "folder:pets", "--data", "x"}, "--data: has no effect with --dataset folder:pets"},
           {{"train", "--dataset", "synthetic", "--image-size", "8"},
            "--image-size: has no effect with --dataset synthetic"},
           {{"train", "--dataset", "folder:pets", "--val-split", "1"}, "--val-split: 1 is not above 0 and below 1"},
           {{"data", "convert", "folder:pets", "out"}, "choose --format idx or cifar"},
           {{"data", "convert", "folder:pets"}, "name a data set and a folder"},
           {{"data", "fetch", "folder:pets"}, "data fetch: "},
           {{"data", "verify", "folder:pets"}, "data verify: "},
           {{"eval", "--init", "run", "--count", "3"}, "--count: has no effect without --mistakes"}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << told;
    EXPECT_TRUE(has(outcome.error, told)) << outcome.error;
  }
  const Outcome missing = run({"train", "--dataset", "folder:nowhere"});
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_EQ(missing.error, "convoy: nowhere: there is no such folder\n");
}

bool has_gnuplot() { return std::system("gnuplot --version >/dev/null 2>&1") == 0; }

// How many pixels of a picture have about that colour.
int64_t pixels_like(const DecodedImage& image, const std::array<int, 3>& colour) {
  int64_t count = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3)
    count += std::abs(image.pixels[i] - colour[0]) < 3 && std::abs(image.pixels[i + 1] - colour[1]) < 3 &&
             std::abs(image.pixels[i + 2] - colour[2]) < 3;
  return count;
}

TEST_F(Pictures, are_shown_as_they_are_on_a_sheet) {
  if (!has_gnuplot()) GTEST_SKIP() << "no gnuplot";
  // A folder may be named so that a shell would run what its name says.
  fs::rename(folder_ / "pets/train/sky", folder_ / "pets/train/`touch $HOME.harm`");
  fs::rename(folder_ / "pets/test/sky", folder_ / "pets/test/`touch $HOME.harm`");
  const Outcome outcome = run({"data", "show", "folder:pets", "--count", "6", "--image-size", "8"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.out, "6 images of folder:pets: pets.png\n");
  EXPECT_EQ(folder_.names(), (std::vector<std::string>{"pets", "pets.png"}));
  const DecodedImage sheet = ImageDecoder().decode(folder_ / "pets.png");
  // Three of 12 possible shades of red, each 8 x 8 pixels made 12 times as large.
  int64_t red = 0;
  for (int i = 0; i < 12; ++i) red += pixels_like(sheet, {230, 17 * i + 5, 40});
  EXPECT_EQ(red, 3 * 96 * 96);
  const std::ptrdiff_t first_row = 34 * sheet.size.w * 3;  // below the title
  const DecodedImage captions{{sheet.size.h - 34, sheet.size.w},
                              {sheet.pixels.begin() + first_row, sheet.pixels.end()}};
  EXPECT_GT(pixels_like(captions, {0, 0, 0}), 20) << "letters; their edges are grey";
  EXPECT_FALSE(fs::exists(folder_.path().string() + ".home.harm"));
  const Outcome named = run({"data", "show", "synthetic", "--output", "digits.png", "--count", "20"});
  EXPECT_EQ(named.exit_code, 0) << named.error;
  EXPECT_TRUE(fs::exists(folder_ / "digits.png"));
  const Outcome unwritable = run({"data", "show", "synthetic", "--output", "no/such/digits.png"});
  EXPECT_EQ(unwritable.exit_code, 5);
  EXPECT_TRUE(has(unwritable.error, "no/such/digits.png")) << unwritable.error;
}

TEST_F(Pictures, of_what_a_network_gets_wrong_are_drawn) {
  if (!has_gnuplot()) GTEST_SKIP() << "no gnuplot";
  ASSERT_EQ(run(small_training({"--model", "flatten; linear 10", "--run", "run"})).exit_code, 0);
  const Outcome outcome =
      run({"eval", "--init", "run", "--confusion", "matrix.png", "--mistakes", "wrong.png", "--count", "12"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_TRUE(has(outcome.out, "matrix   matrix.png\nmistakes wrong.png (the worst 12)\n")) << outcome.out;
  EXPECT_GT(ImageDecoder().decode(folder_ / "matrix.png").size.w, 500);
  EXPECT_GT(ImageDecoder().decode(folder_ / "wrong.png").size.w, 300);
}

TEST_F(Pictures, without_gnuplot_are_one_clear_line) {
  fs::create_directory(folder_ / "bin");
  fs::create_symlink("/usr/bin/env", folder_ / "bin/env");
  const Outcome outcome = run({"data", "show", "synthetic"}, {{"PATH", (folder_ / "bin").string()}});
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_EQ(outcome.error,
            "convoy: synthetic.png: cannot be drawn: gnuplot is not installed (apt install gnuplot-nox)\n");
}

TEST_F(Pictures, become_files_that_are_trained_on_as_the_folder_is) {
  for (const char* format : {"idx", "cifar"}) {
    const Outcome outcome = run({"data", "convert", "folder:pets", format, "--format", format, "--image-size", "32"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
    EXPECT_TRUE(
        has(outcome.out, "24 training and 24 test images of folder:pets\nto train on them: convoy train --dataset"));
  }
  EXPECT_EQ(fs::file_size(folder_ / "idx/train-images-idx3-ubyte"), 16u + 24 * 1024);
  EXPECT_EQ(read_text(folder_ / "cifar/batches.meta.txt"), "red\nsky\n");
  const DatasetSplits folder = load_image_folder(folder_ / "pets", {}),
                      cifar = load_dataset({.name = "cifar10", .data = folder_ / "cifar"});
  EXPECT_EQ(std::memcmp(folder.test.images.raw(), cifar.test.images.raw(), 24 * 3072), 0);
  EXPECT_EQ(std::memcmp(folder.train.images.raw(), cifar.train.images.raw(), 24 * 3072), 0);
  const Outcome again = run({"data", "convert", "folder:pets", "idx", "--format", "idx"});
  EXPECT_EQ(again.exit_code, 5);
  EXPECT_TRUE(has(again.error, "idx: is not an empty folder")) << again.error;
}

}  // namespace
}  // namespace convoy
