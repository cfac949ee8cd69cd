// `convoy predict`: what a network takes pictures for.
//
//   convoy predict --init runs/cifar-cnn-pets-20261128-093000 cat.jpg photos/
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/data_request.h"
#include "apps/device_options.h"
#include "apps/evaluation.h"
#include "apps/saved_model.h"
#include "apps/softmax.h"
#include "data/class_folders.h"
#include "data/decode_images.h"
#include "layers/models.h"
#include "tensor/ops.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// What is wrong with single images does not keep the others from being told.
struct Told {
  int64_t bad = 0;
  void add_bad(const std::string& fault) {
    std::fflush(stdout);
    fmt::print(stderr, "convoy: {}\n", fault);
    ++bad;
  }
};

// The images themselves, and those in folders.
std::vector<fs::path> pictures_of(const std::vector<fs::path>& named, Told& told) {
  std::vector<fs::path> pictures;
  for (const fs::path& path : named) {
    std::error_code none;
    if (!fs::is_directory(path, none)) {
      pictures.push_back(path);
      continue;
    }
    const std::vector<fs::path> below = pictures_below(path);
    if (below.empty()) told.add_bad(fmt::format("{}: holds no images (PNG, JPEG or BMP)", path.string()));
    pictures.insert(pictures.end(), below.begin(), below.end());
  }
  return pictures;
}

void print_prediction(const fs::path& image, size_t width, const std::vector<double>& shares, const ModelInput& input,
                      const Settings& settings) {
  const std::vector<size_t> best = largest(shares, static_cast<size_t>(settings.top));
  if (settings.json) {
    nlohmann::ordered_json object{{"image", image.string()}, {"predictions", nlohmann::ordered_json::array()}};
    for (const size_t i : best)
      object["predictions"].push_back({{"class", input.classes[i]}, {"probability", shares[i]}});
    fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return;
  }
  std::string line = fmt::format("{:<{}}", image.string(), width);
  for (const size_t i : best) line += fmt::format("  {} {:.1f} %", input.classes[i], 100 * shares[i]);
  fmt::print("{}\n", line);
}

// The images as the network was trained on: grey or in colour. Labels mean nothing.
Dataset as_dataset(const Tensor& colours, const ModelInput& input) {
  const Dataset dataset{.images = input.c == 1 ? as_grey(colours) : colours,
                        .labels = Tensor::zeros({colours.size(0)}, DType::i32, Device{}),
                        .classes = input.classes,
                        .normalisation = input.normalisation};
  return dataset.to(current_stream().device);
}

// One batch of pictures, from files to lines.
void predict(Module& net, std::span<const fs::path> files, size_t width, const ModelInput& input,
             const Settings& settings, Told& told) {
  Tensor colours = Tensor::empty({static_cast<int64_t>(files.size()), input.h, input.w, 3}, DType::u8, Device{});
  const std::vector<BadImage> bad = decode_images(files, colours, true);
  for (const BadImage& one : bad)  // black, which no line tells of
    std::fill_n(colours.data<uint8_t>() + static_cast<int64_t>(one.position) * input.h * input.w * 3,
                input.h * input.w * 3, uint8_t{0});
  const Dataset dataset = as_dataset(colours, input);
  const Loader loader(dataset, {.batch = dataset.size()});
  Tensor positions = Tensor::empty({dataset.size()}, DType::i32, Device{});
  for (int64_t i = 0; i < dataset.size(); ++i) positions.data<int32_t>()[i] = static_cast<int32_t>(i);
  const Tensor images = loader.gather(positions.to(current_stream().device));
  const Tensor logits = convert(net(Variable(images)).value(), DType::f32).to(Device{});
  size_t next_bad = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    if (next_bad < bad.size() && bad[next_bad].position == i) {
      told.add_bad(bad[next_bad++].fault);
      continue;
    }
    const auto classes = static_cast<size_t>(logits.size(1));
    print_prediction(files[i], width, softmax({logits.data<float>() + i * classes, classes}), input, settings);
  }
}

// What the network was trained on, from its run, or from the data set that was named.
ModelInput find_input(const SavedModel& saved, const Settings& settings, const GivenOptions& given) {
  if (saved.config && saved.config->facts.input && !given.contains("--dataset")) return *saved.config->facts.input;
  return input_of(load_data(settings).train);
}

}  // namespace

int run_predict(const GivenOptions& given) {
  CHECK(given.contains("--init"), "predict: name the network with --init RUN, the folder of its training");
  CHECK(given.contains("IMAGE"), "predict: which images? Name files (PNG, JPEG, BMP) or folders of them");
  const SavedModel saved = find_saved_model(given.at("--init"));
  CHECK(saved.config || (given.contains("--model") && given.contains("--dataset")),
        "predict: {} holds weights alone; name its network with --model, and with --dataset what it was trained on, "
        "whose "
        "classes and sizes it has",
        saved.weights.string());
  const Settings settings = resolve(with_settings_of(saved, given));
  set_current_stream(open_stream(settings));
  const ModelInput input = find_input(saved, settings, given);
  const std::unique_ptr<Module> net =
      make_model(settings.model, {input.h, input.w, input.c}, static_cast<int64_t>(input.classes.size()));
  saved.load(*net);
  net->set_training(false);
  const NoGrad no_grad;
  Told told;
  const std::vector<fs::path> pictures = pictures_of(settings.images, told);
  size_t width = 0;
  for (const fs::path& picture : pictures) width = std::max(width, picture.string().size());
  const auto batch = static_cast<size_t>(settings.batch);
  for (size_t begin = 0; begin < pictures.size(); begin += batch)
    predict(*net, std::span(pictures).subspan(begin, std::min(batch, pictures.size() - begin)), width, input, settings,
            told);
  return told.bad > 0 ? static_cast<int>(ErrorKind::data) : 0;
}

}  // namespace convoy
